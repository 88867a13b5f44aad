"""What Apache Kafka does and the embedded broker does not, by the names in docs/brokers.md; and that it says so at once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from kafka.admin import KafkaAdminClient

from tests.brokers.fixtures import BrokerName
from tests.conformance.client import AdminClient, Code, Record, Refused
from tests.conformance.differences import differences
from tests.conformance.scene import MakeTopic, until

KnownDifference = Callable[[str], None]
PROMPT_S = 10.0
NEW_PROTOCOL_S: dict[BrokerName, float] = {"embedded": 1.5, "apache": 15.0}


def test_a_transaction_is_read_when_it_is_committed(
    admin_client: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], known_difference: KnownDifference
) -> None:
    known_difference("transactions")
    topic = make_topic()
    admin_client.transact(unique("id"), topic, [Record(value=b"dropped")], commit=False)
    admin_client.transact(unique("id"), topic, [Record(value=b"kept")])
    assert [each.value for each in admin_client.read(topic, 1, committed=True)] == [b"kept"]


def test_the_embedded_broker_refuses_a_transaction_by_name_at_once(
    admin_client: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], broker_name: BrokerName
) -> None:
    if broker_name == "apache":
        pytest.skip("Apache Kafka offers transactions")
    begun_s = time.monotonic()
    with pytest.raises(Refused) as refused:
        admin_client.transact(unique("id"), make_topic(), [Record(value=b"x")])
    assert refused.value.code == Code.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert time.monotonic() - begun_s < PROMPT_S


def test_a_group_of_the_new_protocol_shares_partitions(
    broker: str, broker_name: BrokerName, make_topic: MakeTopic, unique: Callable[[str], str], known_difference: KnownDifference
) -> None:
    known_difference("new-group-protocol")
    topic = make_topic(partitions=2)
    errors: list[str] = []
    consumer = Consumer(
        {
            "bootstrap.servers": broker, "group.id": unique("group"), "group.protocol": "consumer", "log_level": 0,
            "error_cb": lambda error: errors.append(error.str()),
        }
    )  # fmt: skip
    consumer.subscribe([topic])
    try:
        until(lambda: bool(errors) or (consumer.poll(0.05) is None and len(consumer.assignment()) == 2), NEW_PROTOCOL_S[broker_name])
        assert not errors
    finally:
        consumer.close()


def test_the_broker_compresses_where_the_topic_says_so(make_topic: MakeTopic, known_difference: KnownDifference) -> None:
    known_difference("compression-by-the-broker")
    make_topic(configs={"compression.type": "zstd"})


def test_the_folders_of_the_log_are_described(broker: str, make_topic: MakeTopic, known_difference: KnownDifference) -> None:
    known_difference("cluster-administration")
    make_topic()
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        assert admin.describe_log_dirs()
    finally:
        admin.close()


def test_every_difference_that_is_listed_is_tested() -> None:
    used = set(re.findall(r'known_difference\("([a-z0-9-]+)"\)', Path(__file__).read_text()))
    assert used == set(differences())
