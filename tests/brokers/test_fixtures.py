from __future__ import annotations

from collections.abc import Callable

from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient


def test_each_broker_takes_a_record_and_gives_it_back(broker: str, unique: Callable[[str], str]) -> None:
    topic = unique("echo")
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker)
    producer.send(topic, b"hello").get(timeout=20)
    producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    assert next(consumer).value == b"hello"
    consumer.close()


def test_topics_are_not_created_by_asking_for_them(broker: str, unique: Callable[[str], str]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    assert admin.describe_topics([unique("absent")])[0]["error_code"] == 3
    assert unique("absent") not in admin.list_topics()
    admin.close()
