"""What stands around the program: how to run it with Apache Kafka, Prometheus and Grafana."""
