"""Where a benchmark plays: a broker, topics of its own behind a fresh prefix, the backlog, and what came out."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import kafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream import topics
from stream.admin import admin
from stream.bench.corpus import KeyedValue
from stream.names import Names
from stream.processes import running
from stream.publisher import Publisher
from stream.record_batch import Outgoing
from stream.settings import Settings

FILL_BATCH = 4_000
READ_TIMEOUT_MS = 2_000


class Read(NamedTuple):
    """A record that was read back."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`broker` is an address; every topic of the run begins with `prefix`; `folder` goes away at the end. `broker_pid` is the
    embedded broker's process."""

    broker: str
    prefix: str
    folder: Path
    broker_pid: int | None

    @property
    def embedded(self) -> bool:
        """Whether the broker is this stage's own."""
        return self.broker_pid is not None

    @property
    def names(self) -> Names:
        """The table's topics on this stage."""
        return Names(self.prefix)

    @property
    def settings(self) -> Settings:
        """What a client of this stage is told."""
        return Settings(broker=self.broker, prefix=self.prefix)

    @property
    def logs(self) -> Path:
        """Where the embedded broker keeps its topics."""
        return self.folder / "broker"

    def room(self) -> Path:
        """A fresh empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def fill(self, topic: str, events: Iterable[KeyedValue]) -> int:
        """Put `events` into `topic` of the table; how many there were."""
        return asyncio.run(self._fill(self.names.wire(topic), events))

    async def _fill(self, wire: str, events: Iterable[KeyedValue]) -> int:
        producer = AIOKafkaProducer(bootstrap_servers=self.broker, acks="all", max_batch_size=512 << 10)
        await producer.start()
        try:
            publisher, left, count = Publisher(producer), iter(events), 0
            while held := [Outgoing(wire, key, value) for key, value in islice(left, FILL_BATCH)]:
                await publisher.send(held)
                count += len(held)
            return count
        finally:
            await producer.stop()

    def ends(self, topic: str) -> dict[int, int]:
        """The end offset of each partition of `topic` of the table."""
        return self.ends_of(self.names.wire(topic))

    def ends_of(self, wire: str) -> dict[int, int]:
        """The same of a topic by its name on the broker."""
        with admin(self.settings) as client:
            (found,) = client.describe_topics([wire])
            tps = [kafka.TopicPartition(wire, one["partition_index"]) for one in found["partitions"]]
            ends = client.list_partition_offsets(dict.fromkeys(tps, topics.LATEST))
        return {tp.partition: ends[tp].offset for tp in tps}

    def read(self, topic: str, since: dict[int, int] | None = None) -> list[Read]:
        """The records of `topic` of the table, from the offsets `since` to its end."""
        return self.read_of(self.names.wire(topic), since)

    def read_of(self, wire: str, since: dict[int, int] | None = None) -> list[Read]:
        """The same of a topic by its name on the broker."""
        until = self.ends_of(wire)
        return asyncio.run(self._read(wire, since or dict.fromkeys(until, 0), until))

    async def _read(self, wire: str, since: dict[int, int], until: dict[int, int]) -> list[Read]:
        open_ = {TopicPartition(wire, partition) for partition, end in until.items() if since[partition] < end}
        if not open_:
            return []
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20)
        await consumer.start()
        try:
            consumer.assign(list(open_))
            for tp in open_:
                consumer.seek(tp, since[tp.partition])
            found: list[Read] = []
            while open_:
                fetched = await consumer.getmany(timeout_ms=READ_TIMEOUT_MS, max_records=10_000)
                if not fetched:
                    return found
                for tp, records in fetched.items():
                    found += [Read(tp.partition, record.offset, record.key, record.value, record.timestamp) for record in records]
                    if records[-1].offset + 1 >= until[tp.partition]:
                        open_.discard(tp)
            return found
        finally:
            await consumer.stop()


@contextmanager
def stage(broker: str | None = None) -> Iterator[Stage]:
    """A stage on `broker` (default: FLAGSTREAM_BROKER), or on an embedded one in its own process for as long as the
    context lasts. Topics made on a broker that was there before are deleted at the end. Raises `StreamError`."""
    address = broker or os.environ.get("FLAGSTREAM_BROKER") or None
    with tempfile.TemporaryDirectory(prefix="flagstream-bench-") as name:
        folder = Path(name)
        command = ["broker", "--port", "0", "--data", str(folder / "broker")]
        with nullcontext((address, None)) if address else _embedded(command, folder / "broker.log") as (found, pid):
            staged = Stage(broker=found, prefix=f"bench-{secrets.token_hex(3)}-", folder=folder, broker_pid=pid)
            topics.create(staged.settings)
            try:
                yield staged
            finally:
                if not staged.embedded:
                    _delete(staged)


@contextmanager
def _embedded(command: list[str], log: Path) -> Iterator[tuple[str, int]]:
    with running(command, log=log) as (address, process):
        yield address, process.pid
    if process.stdout is not None:
        process.stdout.close()


def _delete(staged: Stage) -> None:
    with admin(staged.settings) as client:
        made = [topic["name"] for topic in client.describe_topics() if topic["name"].startswith(staged.prefix)]
        client.delete_topics(made)
