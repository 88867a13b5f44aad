"""Whatever comes over a socket, the broker goes on; what is no request ends its connection with a log event."""

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import Producer
from kafka.protocol.metadata import ApiVersionsRequest, MetadataRequest
from kafka.protocol.producer import ProduceRequest

from stream.embedded import BrokerSettings, EmbeddedBroker, ErrorCode, running_broker
from stream.embedded.dispatch import APIS

Opening = Callable[..., Any]


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """Every log event while the test runs."""
    configured = structlog.is_configured()
    with structlog.testing.capture_logs() as captured:
        yield captured
    if not configured:  # or what later tests' brokers say would be printed
        structlog.reset_defaults()


def still_serves(broker: EmbeddedBroker) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce("alive", b"v")
    assert producer.flush(10) == 0


def closed_by_broker(connection: socket.socket) -> bool:
    connection.settimeout(5)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def plausible(rng: random.Random) -> bytes:
    """A frame with a real request's header and a body of noise, or of small numbers that look like lengths."""
    api = rng.choice(APIS)
    head = struct.pack(">hhih", api.key, rng.randint(max(api.from_ - 1, 0), api.to + 1), rng.randint(0, 99), -1)
    if rng.random() < 0.5:
        return head + rng.randbytes(rng.randint(0, 120))
    return head + bytes(rng.choice((0, 0, 0, 1, 2, 3, 127, 128, 255)) for _ in range(rng.randint(0, 120)))


@pytest.mark.parametrize("frames", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_frames_leave_the_broker_serving(broker: EmbeddedBroker, events: list[Any], frames: int) -> None:
    rng = random.Random(frames)
    host, port = broker.address.split(":")
    for number in range(frames):
        frame = plausible(rng) if number % 4 else rng.randbytes(rng.randint(0, 60))
        length = len(frame) if number % 5 else rng.randint(0, 2 * len(frame))
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(struct.pack(">i", length) + frame)
            connection.shutdown(socket.SHUT_WR)
            assert closed_by_broker(connection), frame
    still_serves(broker)
    names = [event["event"] for event in events]
    assert names.count("connection.rejected") > frames // 2
    assert "connection.failed" not in names


def test_requests_cut_at_every_length_are_rejected(broker: EmbeddedBroker, events: list[Any]) -> None:
    topic = MetadataRequest.MetadataRequestTopic(name="some-topic")
    request = MetadataRequest(topics=[topic], allow_auto_topic_creation=False)
    request.with_header(correlation_id=1, client_id="cut")
    for version in (4, 9):
        frame = bytes(request.encode(version=version, header=True))
        for length in range(8, len(frame)):
            host, port = broker.address.split(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(struct.pack(">i", length) + frame[:length])
                assert closed_by_broker(connection), (version, length)
    assert all(event["event"] == "connection.rejected" for event in events)
    still_serves(broker)


def test_versions_not_spoken_are_refused_with_the_protocols_error(broker: EmbeddedBroker, connect: Opening) -> None:
    wire = connect(broker)
    wire.socket.sendall(struct.pack(">ihhih", 10, 18, 99, 5, -1))
    (size,) = struct.unpack(">i", wire.exactly(4))
    correlation, error, count = struct.unpack(">ihi", wire.exactly(size)[:10])
    assert (correlation, error, count) == (5, ErrorCode.UNSUPPORTED_VERSION, len(APIS))
    spoken = wire.ask(ApiVersionsRequest(), 3).api_keys
    assert {each.api_key for each in spoken} == {api.key for api in APIS}


def test_requests_not_spoken_end_the_connection(broker: EmbeddedBroker, connect: Opening, events: list[Any]) -> None:
    for key in (4, 24, 26, 99, -3):
        wire = connect(broker)
        wire.socket.sendall(struct.pack(">ihhih", 10, key, 0, 5, -1))
        assert closed_by_broker(wire.socket)
    reasons = [event["reason"] for event in events if event["event"] == "connection.rejected"]
    assert reasons == [f"request {key} is not spoken" for key in (4, 24, 26, 99, -3)]


def produce_request(records: bytes, topic: str = "t", acks: int = -1) -> Any:
    data = ProduceRequest.TopicProduceData
    part = data.PartitionProduceData(index=0, records=records)
    return ProduceRequest(transactional_id=None, acks=acks, timeout_ms=1000, topic_data=[data(name=topic, partition_data=[part])])


def test_records_without_acknowledgement_are_taken_silently_and_refused_by_ending_the_connection(
    broker: EmbeddedBroker, connect: Opening, make_batch: Callable[..., bytes]
) -> None:
    wire = connect(broker)
    wire.ask(MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="t")], allow_auto_topic_creation=True), 5)
    wire.send(produce_request(make_batch(b"v"), acks=0), 8)
    assert wire.ask(ApiVersionsRequest(), 0).error_code == 0
    assert broker.node.topics.log("t", 0).end == 1
    wire.send(produce_request(make_batch(b"v"), "unknown", acks=0), 8)
    assert closed_by_broker(wire.socket)


def answer(wire: Any, records: bytes) -> Any:
    return wire.ask(produce_request(records), 8).responses[0].partition_responses[0]


def test_messages_past_the_limit_are_refused_and_smaller_ones_taken(
    tmp_path: Path, connect: Opening, make_batch: Callable[..., bytes]
) -> None:
    with running_broker(tmp_path, settings=BrokerSettings(max_message_bytes=2_000)) as broker:
        wire = connect(broker)
        wire.ask(MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="t")], allow_auto_topic_creation=True), 5)
        assert answer(wire, make_batch(b"x" * 3_000)).error_code == ErrorCode.MESSAGE_TOO_LARGE
        assert answer(wire, make_batch(b"x" * 1_000)).error_code == 0
        damaged = bytearray(make_batch(b"x" * 100))
        damaged[-5] ^= 1
        assert answer(wire, bytes(damaged)).error_code == ErrorCode.CORRUPT_MESSAGE


def test_frames_past_the_limit_are_not_read(tmp_path: Path, connect: Opening, events: list[Any]) -> None:
    settings = BrokerSettings(max_request_bytes=100_000)
    with running_broker(tmp_path, settings=settings) as broker:
        for size in (100_001, 2**31 - 1, -1, 0):
            wire = connect(broker)
            wire.socket.sendall(struct.pack(">i", size))
            assert closed_by_broker(wire.socket)
    assert sum(event["event"] == "connection.rejected" for event in events) == 4


def test_requests_wait_for_memory_and_are_then_answered(tmp_path: Path, connect: Opening, make_batch: Callable[..., bytes]) -> None:
    settings = BrokerSettings(max_request_bytes=1_000_000, max_buffer_bytes=1_000_000)
    with running_broker(tmp_path, settings=settings) as broker:
        holder, waiter = connect(broker), connect(broker)
        waiter.ask(MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="t")], allow_auto_topic_creation=True), 5)
        holder.socket.sendall(struct.pack(">i", 900_000) + b"\0" * 1000)  # announces most of the memory, and stalls
        time.sleep(0.2)
        kind = waiter.send(produce_request(make_batch(b"x" * 500_000)), 8)
        waiter.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            waiter.receive(kind, 8)
        holder.close()
        waiter.socket.settimeout(10)
        assert waiter.receive(kind, 8).responses[0].partition_responses[0].error_code == 0


def test_connections_past_the_limit_are_turned_away(tmp_path: Path, connect: Opening, events: list[Any]) -> None:
    with running_broker(tmp_path, settings=BrokerSettings(max_connections=3)) as broker:
        kept = [connect(broker) for _ in range(3)]
        assert closed_by_broker(connect(broker).socket)
        assert kept[0].ask(ApiVersionsRequest(), 0).error_code == 0
        kept.pop().close()
        time.sleep(0.2)
        assert connect(broker).ask(ApiVersionsRequest(), 0).error_code == 0
    assert any(event.get("reason") == "too many connections" for event in events)


def test_logs_never_carry_what_records_hold(broker: EmbeddedBroker, connect: Opening, events: list[Any]) -> None:
    wire = connect(broker)
    secret = b"4111-1111-1111-1111"
    wire.socket.sendall(struct.pack(">ihhih", 10 + len(secret), 0, 7, 5, -1) + secret)
    assert closed_by_broker(wire.socket)
    assert events
    assert "4111" not in repr(events)
