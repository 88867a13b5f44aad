"""The demo's traffic: messages and payments of people who do not exist, with the truth beside each, from a seed."""
