"""What the conformance tests ask of a Kafka client, in one shape for all of them: see `clients/` for who answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")

TIMEOUT_S = 20.0
"""Nothing that a test asks for takes longer on a healthy broker."""

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
COMPRESSIONS: tuple[Compression, ...] = ("none", "gzip", "snappy", "lz4", "zstd")
Start = Literal["earliest", "latest"]


class Code(IntEnum):
    """The protocol's error codes that tests name."""

    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2
    UNKNOWN_TOPIC_OR_PARTITION = 3
    MESSAGE_TOO_LARGE = 10
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    INVALID_TOPIC = 17
    INVALID_REQUIRED_ACKS = 21
    ILLEGAL_GENERATION = 22
    INCONSISTENT_GROUP_PROTOCOL = 23
    INVALID_GROUP_ID = 24
    UNKNOWN_MEMBER_ID = 25
    INVALID_SESSION_TIMEOUT = 26
    REBALANCE_IN_PROGRESS = 27
    UNSUPPORTED_VERSION = 35
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_CONFIG = 40
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    INVALID_PRODUCER_EPOCH = 47
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    MEMBER_ID_REQUIRED = 79
    FENCED_INSTANCE_ID = 82
    INVALID_RECORD = 87


class Refused(Exception):  # noqa: N818  # the broker's answer, not a fault
    """The broker answered with an error."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(f"{Code(code).name if code in set(Code) else code}: {text}")
        self.code = code


COORDINATOR_MOVES = frozenset({Code.COORDINATOR_LOAD_IN_PROGRESS, Code.COORDINATOR_NOT_AVAILABLE, Code.NOT_COORDINATOR})
"""Refusals that pass: a coordinator is chosen, or reads its log."""


def of_coordinator(ask: Callable[[], T]) -> T:
    """What `ask` returns, asked again for `TIMEOUT_S` where `COORDINATOR_MOVES`: Apache Kafka elects and loads coordinators anew when a
    slow machine lets its broker miss heartbeats, and not every client's administration asks again by itself as Java's does."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return ask()
        except Refused as refused:
            if refused.code not in COORDINATOR_MOVES or time.monotonic() > deadline_s:
                raise
        time.sleep(0.05)


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record to write, or one read; -1 where the broker has still to say."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int = -1
    partition: int = 0
    offset: int = -1


class Member(Protocol):
    """A member of a consumer group."""

    def assigned(self) -> set[int]:
        """Its partitions now; also lets the client take part in rebalances."""
        ...

    def poll(self, count: int) -> list[Record]:
        """The next `count` records, or fewer after `TIMEOUT_S`."""
        ...

    def commit(self) -> None:
        """Commit what `poll` has given out."""
        ...

    def close(self) -> None:
        """Leave the group (a static member does not tell the broker)."""
        ...


class Client(Protocol):
    """A client that writes and reads. Every method raises `Refused` where the broker answers with an error."""

    name: str

    def __init__(self, broker: str) -> None: ...

    def produce(self, topic: str, records: Sequence[Record], *, compression: Compression = "none", idempotent: bool = False) -> list[int]:
        """Write with acks=all; the records' offsets."""
        ...

    def read(self, topic: str, count: int, *, partition: int = 0, start: int | Start = "earliest", committed: bool = False) -> list[Record]:
        """`count` records from `start` on, without a group; fewer after `TIMEOUT_S`. With `committed` none of a transaction
        that was not."""
        ...

    def offset_at(self, topic: str, timestamp_ms: int, *, partition: int = 0) -> int | None:
        """The first offset whose timestamp is at least this one; None past the last."""
        ...

    def partitions(self, topic: str) -> int:
        """How many the topic has."""
        ...

    def join(self, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> Member:
        """Become a member, from the earliest offset where nothing is committed, and without committing by itself."""
        ...

    def close(self) -> None:
        """Free what the client holds."""
        ...


class AdminClient(Client, Protocol):
    """A client that also administers."""

    def transact(self, transaction: str, topic: str, records: Sequence[Record], *, commit: bool = True) -> None:
        """Write all or nothing under this transactional id; nothing where not `commit`."""
        ...

    def create_topic(self, topic: str, *, partitions: int = 1, replication: int = 1, configs: Mapping[str, str] | None = None) -> None: ...

    def delete_topic(self, topic: str) -> None: ...

    def grow_topic(self, topic: str, partitions: int) -> None: ...

    def topics(self) -> set[str]: ...

    def configs(self, topic: str) -> dict[str, str]:
        """Every config of the topic, defaults included."""
        ...

    def set_config(self, topic: str, name: str, value: str) -> None: ...

    def delete_records(self, topic: str, before: int, *, partition: int = 0) -> None: ...

    def groups(self) -> set[str]: ...

    def group_state(self, group: str) -> tuple[str, int]:
        """The group's state by the protocol's name, and how many members it has."""
        ...

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """Committed offsets by partition."""
        ...
