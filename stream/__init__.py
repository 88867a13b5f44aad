"""The stream: worker, clients, brokers and the command line."""
