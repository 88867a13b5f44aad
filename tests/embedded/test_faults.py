"""Faults happen as ordered, and end as ordered."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.producer import ProduceRequest

from stream.embedded import EmbeddedBroker, ErrorCode

Opening = Callable[..., Any]


@pytest.fixture
def wire(embedded_broker: EmbeddedBroker, connect: Opening) -> Any:
    """A connection to a broker that has the topics `t` and `u`."""
    connection = connect(embedded_broker, "victim")
    topics = [MetadataRequest.MetadataRequestTopic(name=name) for name in ("t", "u")]
    connection.ask(MetadataRequest(topics=topics, allow_auto_topic_creation=True), 5)
    return connection


def produced(wire: Any, batch: bytes, topic: str = "t") -> ErrorCode:
    data = ProduceRequest.TopicProduceData
    part = data.PartitionProduceData(index=0, records=batch)
    request = ProduceRequest(transactional_id=None, acks=-1, timeout_ms=1000, topic_data=[data(name=topic, partition_data=[part])])
    return ErrorCode(wire.ask(request, 8).responses[0].partition_responses[0].error_code)


def fetched(wire: Any, offset: int = 0, max_wait_ms: int = 0) -> bytes:
    topic = FetchRequest.FetchTopic
    part = topic.FetchPartition(partition=0, fetch_offset=offset, partition_max_bytes=1 << 20, log_start_offset=-1)
    request = FetchRequest(max_wait_ms=max_wait_ms, min_bytes=1, max_bytes=1 << 20, topics=[topic(topic="t", partitions=[part])])
    return wire.ask(request, 11).responses[0].partitions[0].records or b""


def test_the_next_produces_fail_with_the_error_named(embedded_broker: EmbeddedBroker, wire: Any, make_batch: Callable[..., bytes]) -> None:
    embedded_broker.faults.fail_produce(ErrorCode.KAFKA_STORAGE_ERROR, times=2, topic="t")
    codes = [produced(wire, make_batch(b"v")) for _ in range(3)]
    assert codes == [ErrorCode.KAFKA_STORAGE_ERROR] * 2 + [ErrorCode.NONE]
    assert embedded_broker.node.topics.log("t", 0).end == 1


def test_a_fault_for_one_topic_leaves_others_alone(embedded_broker: EmbeddedBroker, wire: Any, make_batch: Callable[..., bytes]) -> None:
    embedded_broker.faults.fail_produce(ErrorCode.NOT_LEADER_OR_FOLLOWER, topic="t")
    assert produced(wire, make_batch(b"v"), "u") is ErrorCode.NONE
    assert produced(wire, make_batch(b"v"), "t") is ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_a_client_rides_out_failing_produces(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.faults.fail_produce(ErrorCode.NOT_LEADER_OR_FOLLOWER, times=3)
    producer = Producer({"bootstrap.servers": embedded_broker.address, "retry.backoff.ms": 10, "enable.idempotence": True})
    for i in range(50):
        producer.produce("t", b"%d" % i, partition=0)
    assert producer.flush(20) == 0
    assert embedded_broker.node.topics.log("t", 0).end == 50


def test_any_request_can_be_failed_and_delayed(embedded_broker: EmbeddedBroker, wire: Any) -> None:
    embedded_broker.faults.fail("ApiVersions", ErrorCode.UNKNOWN_SERVER_ERROR)
    assert wire.ask(ApiVersionsRequest(), 0).error_code == ErrorCode.UNKNOWN_SERVER_ERROR
    embedded_broker.faults.delay("ApiVersions", 0.3)
    began = time.monotonic()
    assert wire.ask(ApiVersionsRequest(), 0).error_code == 0
    assert time.monotonic() - began >= 0.3
    embedded_broker.faults.clear()
    began = time.monotonic()
    wire.ask(ApiVersionsRequest(), 0)
    assert time.monotonic() - began < 0.25


def test_acks_held_are_given_when_released_and_the_records_are_there_before(
    embedded_broker: EmbeddedBroker, wire: Any, connect: Opening, make_batch: Callable[..., bytes]
) -> None:
    other = connect(embedded_broker)
    with embedded_broker.faults.hold_acks():
        wire.socket.settimeout(0.4)
        with pytest.raises(TimeoutError):
            produced(wire, make_batch(b"v"))
        assert fetched(other) != b""
    wire.socket.settimeout(10)
    assert wire.receive(ProduceRequest, 8).responses[0].partition_responses[0].base_offset == 0


def test_a_paused_partition_takes_and_gives_nothing_until_it_goes_on(
    embedded_broker: EmbeddedBroker, wire: Any, make_batch: Callable[..., bytes]
) -> None:
    assert produced(wire, make_batch(b"v")) is ErrorCode.NONE
    with embedded_broker.faults.pause_partition("t", 0):
        assert produced(wire, make_batch(b"w")) is ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert fetched(wire, max_wait_ms=50) == b""
    assert fetched(wire) != b""
    assert produced(wire, make_batch(b"w")) is ErrorCode.NONE


def test_connections_are_cut_by_client(embedded_broker: EmbeddedBroker, wire: Any, connect: Opening) -> None:
    other = connect(embedded_broker, "other")
    other.ask(ApiVersionsRequest(), 0)
    assert embedded_broker.faults.cut_connections("victim") == 1
    with pytest.raises(ConnectionError):
        wire.ask(ApiVersionsRequest(), 0)
    assert other.ask(ApiVersionsRequest(), 0).error_code == 0
    assert embedded_broker.faults.cut_connections() == 1


def test_an_idempotent_producer_whose_answers_are_dropped_stores_each_record_once(embedded_broker: EmbeddedBroker) -> None:
    embedded_broker.faults.drop_responses("Produce", times=3)
    producer = Producer({"bootstrap.servers": embedded_broker.address, "retry.backoff.ms": 10, "enable.idempotence": True, "log_level": 0})
    for i in range(50):
        producer.produce("t", b"%d" % i, partition=0)
    assert producer.flush(20) == 0
    assert embedded_broker.node.topics.log("t", 0).end == 50


def test_an_expired_member_joins_again_and_reads_on(embedded_broker: EmbeddedBroker) -> None:
    revoked: list[int] = []
    lost: list[int] = []
    consumer = Consumer(
        {"bootstrap.servers": embedded_broker.address, "group.id": "g", "auto.offset.reset": "earliest", "heartbeat.interval.ms": 100}
    )
    producer = Producer({"bootstrap.servers": embedded_broker.address})
    producer.produce("t", b"first")
    producer.flush(10)
    consumer.subscribe(["t"], on_revoke=lambda *_: revoked.append(1), on_lost=lambda *_: lost.append(1))
    assert [each.value() for each in consumer.consume(1, 10)] == [b"first"]
    embedded_broker.faults.expire_member("g")
    deadline = time.monotonic() + 10
    while not (revoked or lost) and time.monotonic() < deadline:
        consumer.poll(0.1)
    assert lost
    producer.produce("t", b"second")
    producer.flush(10)
    got: list[Any] = []
    while b"second" not in got and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        got += [message.value()] if message is not None and message.error() is None else []
    assert b"second" in got
    consumer.close()


def test_a_fetch_wakes_only_for_its_own_partition(
    embedded_broker: EmbeddedBroker, wire: Any, connect: Opening, make_batch: Callable[..., bytes]
) -> None:
    writer = connect(embedded_broker)
    topic = FetchRequest.FetchTopic
    part = topic.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20, log_start_offset=-1)
    request = FetchRequest(max_wait_ms=5_000, min_bytes=1, max_bytes=1 << 20, topics=[topic(topic="t", partitions=[part])])
    kind = wire.send(request, 11)
    assert produced(writer, make_batch(b"v"), "u") is ErrorCode.NONE
    wire.socket.settimeout(0.3)
    with pytest.raises(TimeoutError):
        wire.receive(kind, 11)
    began = time.monotonic()
    assert produced(writer, make_batch(b"v"), "t") is ErrorCode.NONE
    wire.socket.settimeout(5)
    assert wire.receive(kind, 11).responses[0].partitions[0].records
    assert time.monotonic() - began < 1
