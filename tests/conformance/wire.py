"""Requests as they are on the wire, without a client in between: for error codes that clients handle and never show."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from kafka.protocol.consumer import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    JoinGroupResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from kafka.protocol.metadata import FindCoordinatorRequest, FindCoordinatorResponse
from kafka.protocol.producer import InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse
from kafka.record.default_records import DefaultRecordBatchBuilder

from tests.conformance.client import COORDINATOR_MOVES, TIMEOUT_S, Code

LATEST, EARLIEST = -1, -2


class Connection:
    """A connection to the broker; one request at a time unless sent and received apart."""

    def __init__(self, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
        self._correlation = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def send(self, request: Any, version: int) -> int:
        """Send without waiting; the correlation id."""
        self._correlation += 1
        request.with_header(correlation_id=self._correlation, client_id="conformance")
        self._socket.sendall(request.encode(version=version, header=True, framed=True))
        return self._correlation

    def send_bytes(self, frame: bytes) -> None:
        """Send these bytes as they are."""
        self._socket.sendall(frame)

    def receive(self, response: Any, version: int) -> tuple[int, Any]:
        """The next response, with its correlation id."""
        frame = self.receive_bytes()
        answer = response.decode(frame, version=version, header=True)
        return int.from_bytes(frame[:4], "big"), answer

    def receive_bytes(self) -> bytes:
        """The next frame. Raises `ConnectionError` where the broker ends the connection instead."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def ask(self, request: Any, response: Any, version: int) -> Any:
        """The answer to a request."""
        sent = self.send(request, version)
        correlation, answer = self.receive(response, version)
        assert correlation == sent
        return answer

    def _exactly(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise ConnectionResetError("the broker ended the connection")
            parts += part
        return parts


def batch(
    values: Sequence[bytes | None], *, keys: Sequence[bytes | None] | None = None, timestamp_ms: int = 1_700_000_000_000,
    producer: tuple[int, int] = (-1, -1), sequence: int = -1,
) -> bytes:  # fmt: skip
    """A record batch of these values; `producer` is an id and its epoch."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=producer[0], producer_epoch=producer[1],
        base_sequence=sequence, batch_size=1 << 24,
    )  # fmt: skip
    for index, value in enumerate(values):
        builder.append(index, timestamp_ms + index, keys[index] if keys else None, value, [])
    return bytes(builder.build())


def produce(connection: Connection, topic: str, records: bytes, *, acks: int = -1, version: int = 8, transaction: str | None = None) -> Any:
    """Write a batch to partition 0; the partition's part of the answer."""
    answer = connection.ask(_produce(topic, records, acks, transaction), ProduceResponse, version)
    return answer.responses[0].partition_responses[0]


def produce_unacknowledged(connection: Connection, topic: str, records: bytes, *, version: int = 8) -> None:
    """Write a batch with acks=0, which is not answered."""
    connection.send(_produce(topic, records, 0, None), version)


def _produce(topic: str, records: bytes, acks: int, transaction: str | None) -> Any:
    topic_data = ProduceRequest.TopicProduceData
    return ProduceRequest(
        transactional_id=transaction, acks=acks, timeout_ms=5000,
        topic_data=[topic_data(name=topic, partition_data=[topic_data.PartitionProduceData(index=0, records=records)])],
    )  # fmt: skip


def producer_id(connection: Connection, *, transaction: str | None = None) -> Any:
    """The answer to InitProducerId."""
    request = InitProducerIdRequest(transactional_id=transaction, transaction_timeout_ms=10_000, producer_id=-1, producer_epoch=-1)
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        answer = connection.ask(request, InitProducerIdResponse, 4)
        # A broker that has just started fetches its block of ids first; every client tries again.
        if answer.error_code not in COORDINATOR_MOVES or time.monotonic() > deadline_s:
            return answer
        time.sleep(0.05)


def offset_at(connection: Connection, topic: str, timestamp_ms: int, *, partition: int = 0, version: int = 7) -> tuple[int, int, int]:
    """Error code, offset and its timestamp, as ListOffsets answers."""
    of_topic = ListOffsetsRequest.ListOffsetsTopic
    asked = of_topic.ListOffsetsPartition(partition_index=partition, current_leader_epoch=-1, timestamp=timestamp_ms)
    request = ListOffsetsRequest(replica_id=-1, isolation_level=0, topics=[of_topic(name=topic, partitions=[asked])])
    part = connection.ask(request, ListOffsetsResponse, version).topics[0].partitions[0]
    return part.error_code, part.offset, part.timestamp


def coordinated(connection: Connection, group: str) -> str:
    """The group's name, when the broker coordinates it: Apache Kafka makes its topic of offsets for the first group."""
    deadline_s = time.monotonic() + TIMEOUT_S
    request = FindCoordinatorRequest(key=group, key_type=0)
    while (
        connection.ask(request, FindCoordinatorResponse, 2).error_code
        or heartbeat(connection, group, 1, "nobody") != Code.UNKNOWN_MEMBER_ID
    ):
        assert time.monotonic() < deadline_s, "no coordinator"
        time.sleep(0.05)
    return group


def join(
    connection: Connection, group: str, *, member: str = "", instance: str | None = None, session_ms: int = 10_000,
    protocols: Sequence[str] = ("range",), version: int = 5,
) -> Any:  # fmt: skip
    """The answer to JoinGroup; the group is of protocol type `consumer`."""
    request = JoinGroupRequest(
        group_id=group, session_timeout_ms=session_ms, rebalance_timeout_ms=session_ms, member_id=member, group_instance_id=instance,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.JoinGroupRequestProtocol(name=name, metadata=b"\0\0\0\0\0\0\0\0\0\0") for name in protocols],
    )  # fmt: skip
    return connection.ask(request, JoinGroupResponse, version)


def sync(
    connection: Connection, group: str, generation: int, member: str, *, instance: str | None = None, assign: Sequence[str] = ()
) -> Any:
    """The answer to SyncGroup; a leader assigns something to each of `assign`."""
    part = SyncGroupRequest.SyncGroupRequestAssignment
    request = SyncGroupRequest(
        group_id=group, generation_id=generation, member_id=member, group_instance_id=instance,
        assignments=[part(member_id=each, assignment=b"for " + each.encode()) for each in assign],
    )  # fmt: skip
    return connection.ask(request, SyncGroupResponse, 3)


def heartbeat(connection: Connection, group: str, generation: int, member: str, *, instance: str | None = None) -> int:
    """The error code that a heartbeat is answered with."""
    request = HeartbeatRequest(group_id=group, generation_id=generation, member_id=member, group_instance_id=instance)
    return int(connection.ask(request, HeartbeatResponse, 3).error_code)
