"""Committed offsets of consumer groups, kept in `__consumer_offsets` as Apache Kafka keeps them.

A commit is a record of that compacted topic: the key is group, topic and partition, a tombstone forgets it. At start
the topic is read through.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from stream.embedded import batch
from stream.embedded.log import PartitionLog
from stream.eventlog import get_logger

logger = get_logger(__name__)

_KEY_VERSION, _VALUE_VERSION = 1, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Committed:
    """An offset a group has committed for a partition."""

    offset: int
    leader_epoch: int
    metadata: str
    at_ms: int


Place = tuple[str, int]
"""A topic's name and a partition of it."""


class Offsets:
    """The latest committed offset of every group and partition."""

    def __init__(self, log: PartitionLog) -> None:
        self._log = log
        self._groups: dict[str, dict[Place, Committed]] = {}
        self._load()

    def _load(self) -> None:
        for segment in self._log.segments:
            for view, _ in segment.batches(0):
                for record in batch.records(bytes(view)):
                    self._take(record)

    def _take(self, record: batch.Record) -> None:
        if record.key is None or struct.unpack_from(">h", record.key)[0] != _KEY_VERSION:
            return
        group, topic, partition = _read_key(record.key)
        if record.value is None:
            self._forget(group, (topic, partition))
        else:
            self._groups.setdefault(group, {})[(topic, partition)] = _read_value(record.value)

    def of(self, group: str) -> dict[Place, Committed]:
        """What a group has committed, by place."""
        return self._groups.get(group, {})

    def groups(self) -> tuple[str, ...]:
        """Groups that have committed anything."""
        return tuple(self._groups)

    async def commit(self, group: str, commits: dict[Place, Committed], *, now_ms: int, durable: bool) -> None:
        """Records the commits; they hold when this returns. `RefusedError` where the disk does not take them."""
        if not commits:
            return
        self._append(((_key(group, place), _value(commit)) for place, commit in commits.items()), now_ms)
        self._groups.setdefault(group, {}).update(commits)
        if durable:
            await self._log.flushed()

    def delete(self, group: str, places: Iterable[Place], *, now_ms: int) -> None:
        """Forgets a group's offsets for these partitions."""
        known = [place for place in places if place in self.of(group)]
        if known:
            self._append(((_key(group, place), None) for place in known), now_ms)
            for place in known:
                self._forget(group, place)

    def delete_topic(self, topic: str, *, now_ms: int) -> None:
        """Forgets every group's offsets for a topic."""
        for group in self.groups():
            self.delete(group, [place for place in self.of(group) if place[0] == topic], now_ms=now_ms)

    def expire(self, group: str, *, before_ms: int, now_ms: int) -> None:
        """Forgets what a group without members committed before a time."""
        old = [place for place, commit in self.of(group).items() if commit.at_ms < before_ms]
        self.delete(group, old, now_ms=now_ms)

    def _forget(self, group: str, place: Place) -> None:
        kept = self._groups.get(group, {})
        kept.pop(place, None)
        if not kept:
            self._groups.pop(group, None)

    def _append(self, entries: Iterable[tuple[bytes, bytes | None]], now_ms: int) -> None:
        built = batch.build(entries, at_ms=now_ms)
        self._log.append(built, batch.header_at(built), now_ms=now_ms)


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


def _key(group: str, place: Place) -> bytes:
    return struct.pack(">h", _KEY_VERSION) + _string(group) + _string(place[0]) + struct.pack(">i", place[1])


def _value(commit: Committed) -> bytes:
    head = struct.pack(">hqi", _VALUE_VERSION, commit.offset, commit.leader_epoch)
    return head + _string(commit.metadata) + struct.pack(">q", commit.at_ms)


def _read_string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    return data[at + 2 : at + 2 + length].decode(), at + 2 + length


def _read_key(key: bytes) -> tuple[str, str, int]:
    group, at = _read_string(key, 2)
    topic, at = _read_string(key, at)
    return group, topic, struct.unpack_from(">i", key, at)[0]


def _read_value(value: bytes) -> Committed:
    _, offset, epoch = struct.unpack_from(">hqi", value)
    metadata, at = _read_string(value, 14)
    return Committed(offset=offset, leader_epoch=epoch, metadata=metadata, at_ms=struct.unpack_from(">q", value, at)[0])
