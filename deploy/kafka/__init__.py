"""Apache Kafka from its published jars, without Docker: `python -m deploy.kafka`, or `running_kafka()` in a test."""

from deploy.kafka.cluster import Cluster, running_kafka
from deploy.kafka.errors import KafkaError, KafkaMissingError, KafkaStartError
from deploy.kafka.node import Node

__all__ = ["Cluster", "KafkaError", "KafkaMissingError", "KafkaStartError", "Node", "running_kafka"]
