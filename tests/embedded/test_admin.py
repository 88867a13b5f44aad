"""Topics, configs, offsets and groups are administered by clients nobody here wrote."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # not in its stubs  # type: ignore[attr-defined]  # not in its stubs
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic as KafkaPythonTopic
from kafka.errors import TransactionalIdAuthorizationFailedError
from kafka.structs import TopicPartition as KafkaPythonPartition

from stream.embedded import BrokerSettings, EmbeddedBroker, running_broker


@pytest.fixture
def admin(broker: EmbeddedBroker) -> AdminClient:
    return AdminClient({"bootstrap.servers": broker.address})


def refused(futures: dict[Any, Any]) -> str:
    with pytest.raises(KafkaException) as raised:
        next(iter(futures.values())).result(10)
    return str(raised.value.args[0].name())


def test_topics_are_created_grown_and_deleted(broker: EmbeddedBroker, admin: AdminClient) -> None:
    admin.create_topics([NewTopic("a", 3, 1)])["a"].result(10)
    admin.create_topics([NewTopic("only-checked", 3, 1)], validate_only=True)["only-checked"].result(10)
    assert len(admin.list_topics(timeout=10).topics["a"].partitions) == 3
    assert "only-checked" not in admin.list_topics(timeout=10).topics
    admin.create_partitions([NewPartitions("a", 5)])["a"].result(10)
    assert len(admin.list_topics(timeout=10).topics["a"].partitions) == 5
    assert refused(admin.create_topics([NewTopic("a", 3, 1)])) == "TOPIC_ALREADY_EXISTS"
    assert refused(admin.create_topics([NewTopic("a/b", 3, 1)])) == "TOPIC_EXCEPTION"
    assert refused(admin.create_topics([NewTopic("b", 0, 1)])) == "INVALID_PARTITIONS"
    assert refused(admin.create_topics([NewTopic("b", 1, 3)])) == "INVALID_REPLICATION_FACTOR"
    assert refused(admin.create_topics([NewTopic("b", 1, 1, config={"no.such": "1"})])) == "INVALID_CONFIG"
    assert refused(admin.create_partitions([NewPartitions("a", 2)])) == "INVALID_PARTITIONS"
    admin.delete_topics(["a"])["a"].result(10)
    assert refused(admin.delete_topics(["a"])) == "UNKNOWN_TOPIC_OR_PART"
    assert refused(admin.delete_topics(["__consumer_offsets"])) == "TOPIC_EXCEPTION"


def test_a_topic_deleted_and_created_again_is_empty(broker: EmbeddedBroker, admin: AdminClient) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for name in ("again", "again.deleted"):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)
        producer.produce(name, b"old")
        assert producer.flush(10) == 0
    admin.delete_topics(["again"])["again"].result(10)
    admin.create_topics([NewTopic("again", 1, 1)])["again"].result(10)
    assert ends(admin, "again", 1) == [0]
    assert ends(admin, "again.deleted", 1) == [1]


def ends(admin: AdminClient, topic: str, partitions: int) -> list[int]:
    asked = {TopicPartition(topic, i): OffsetSpec.latest() for i in range(partitions)}  # type: ignore[no-untyped-call]
    return [each.result(10).offset for each in admin.list_offsets(asked).values()]


def configs(admin: AdminClient, topic: str) -> dict[str, ConfigEntry]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found: dict[str, ConfigEntry] = admin.describe_configs([resource])[resource].result(10)
    return found


def test_configs_are_described_and_altered_and_outlive_a_restart(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("a", 1, 1, config={"cleanup.policy": "compact"})])["a"].result(10)
        found = configs(admin, "a")
        assert (found["cleanup.policy"].value, found["cleanup.policy"].is_default) == ("compact", False)
        assert (found["retention.ms"].value, found["retention.ms"].is_default) == (str(7 * 24 * 3600 * 1000), True)
        set_ = AlterConfigOpType.SET
        change = ConfigResource(
            ResourceType.TOPIC,
            "a",
            incremental_configs=[
                ConfigEntry("retention.ms", "5000", incremental_operation=set_),
                ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.APPEND),
            ],
        )
        admin.incremental_alter_configs([change])[change].result(10)
        plain = ConfigResource(
            ResourceType.TOPIC,
            "plain",
            incremental_configs=[ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.APPEND)],
        )
        admin.create_topics([NewTopic("plain", 1, 1)])["plain"].result(10)
        admin.incremental_alter_configs([plain])[plain].result(10)
        assert configs(admin, "plain")["cleanup.policy"].value == "delete,compact"
        wrong = ConfigResource(ResourceType.TOPIC, "a", incremental_configs=[ConfigEntry("retention.ms", "x", incremental_operation=set_)])
        assert refused(admin.incremental_alter_configs([wrong])) == "INVALID_CONFIG"
        unknown = ConfigResource(ResourceType.TOPIC, "none")
        assert refused(admin.describe_configs([unknown])) == "UNKNOWN_TOPIC_OR_PART"
    with running_broker(tmp_path) as broker:
        found = configs(AdminClient({"bootstrap.servers": broker.address}), "a")
        assert (found["retention.ms"].value, found["cleanup.policy"].value) == ("5000", "compact,delete")


def test_the_brokers_own_configs_can_be_read(admin: AdminClient) -> None:
    resource = ConfigResource(ResourceType.BROKER, "1")
    found = admin.describe_configs([resource])[resource].result(10)
    assert found["num.partitions"].value == "4"
    assert found["num.partitions"].is_read_only


def test_offsets_are_found_by_time_inside_a_batch(broker: EmbeddedBroker) -> None:
    partition = KafkaPythonPartition("t", 0)
    for codec in (None, "gzip", "snappy", "lz4", "zstd"):
        producer = KafkaProducer(bootstrap_servers=broker.address, compression_type=codec, linger_ms=50)
        for i in range(100):
            producer.send("t", b"v%d" % i, partition=0, timestamp_ms=1_000_000 + i * 10)
        producer.flush()
        producer.close()
        consumer = KafkaConsumer(bootstrap_servers=broker.address)
        found = consumer.offsets_for_times({partition: 1_000_455})[partition]
        assert (found.offset, found.timestamp) == (46, 1_000_460)
        assert consumer.offsets_for_times({partition: 1_001_000})[partition] is None
        assert consumer.end_offsets([partition]) == {partition: 100}
        consumer.close()
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.delete_topics(["t"])
        admin.close()


def test_records_are_deleted_up_to_an_offset(broker: EmbeddedBroker, admin: AdminClient) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for _ in range(10):
        producer.produce("t", b"v", partition=0)
    producer.flush(10)
    (deleted,) = admin.delete_records([TopicPartition("t", 0, 7)]).values()
    assert deleted.result(10).low_watermark == 7
    assert refused(admin.delete_records([TopicPartition("t", 0, 11)])) == "OFFSET_OUT_OF_RANGE"
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"})
    assert consumer.get_watermark_offsets(TopicPartition("t", 0), timeout=10) == (7, 10)
    consumer.assign([TopicPartition("t", 0, 3)])
    assert [message.offset() for message in consumer.consume(3, 10)] == [7, 8, 9]
    consumer.close()


def test_groups_offsets_are_read_and_reset_by_admins(broker: EmbeddedBroker, admin: AdminClient) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce("t", b"v", partition=2)
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g"})
    consumer.commit(offsets=[TopicPartition("t", 2, 1, "why")], asynchronous=False)
    consumer.close()
    kafka_python = KafkaAdminClient(bootstrap_servers=broker.address)
    listed = kafka_python.list_group_offsets("g")["g"]
    kafka_python.close()
    assert {partition: each.offset for partition, each in listed.items()} == {KafkaPythonPartition("t", 2): 1}
    assert [each.group_id for each in admin.list_consumer_groups().result(10).valid] == ["g"]
    admin.delete_consumer_groups(["g"])["g"].result(10)
    assert admin.list_consumer_groups().result(10).valid == []


def test_topics_named_by_clients_are_created_only_if_allowed(tmp_path: Path) -> None:
    with running_broker(tmp_path, settings=BrokerSettings(auto_create_topics=False)) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([KafkaPythonTopic("made", 2, 1)])
        producer = Producer({"bootstrap.servers": broker.address, "topic.metadata.propagation.max.ms": 100})
        failed: list[str] = []

        def told(error: Any, _: Any) -> None:
            failed.append(error.name() if error else "none")

        producer.produce("made", b"v", callback=told)
        producer.produce("named", b"v", callback=told)
        deadline = time.monotonic() + 10
        while len(failed) < 2 and time.monotonic() < deadline:
            producer.poll(0.1)
        assert sorted(failed) == ["UNKNOWN_TOPIC_OR_PART", "none"]
        assert "named" not in admin.list_topics()
        admin.close()


def test_transactions_are_refused_clearly(broker: EmbeddedBroker) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "tx"})
    with pytest.raises(KafkaException) as raised:
        producer.init_transactions(10)
    assert raised.value.args[0].fatal()
    transactional = KafkaProducer(bootstrap_servers=broker.address, transactional_id="tx", max_block_ms=5_000)
    with pytest.raises(TransactionalIdAuthorizationFailedError):
        transactional.init_transactions()
    transactional.close(timeout=1)


def test_log_append_time_is_stamped_by_the_broker(broker: EmbeddedBroker, admin: AdminClient, connect: Callable[..., Any]) -> None:
    admin.create_topics([NewTopic("t", 1, 1, config={"message.timestamp.type": "LogAppendTime"})])["t"].result(10)
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce("t", b"v", timestamp=1_000)
    producer.flush(10)
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("t", 0, 0)])
    kind, at_ms = consumer.consume(1, 10)[0].timestamp()
    consumer.close()
    assert kind == 2
    assert abs(at_ms - time.time() * 1000) < 60_000
