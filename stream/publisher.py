"""Publishes what a batch caused, and returns when the broker has acknowledged all of it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from stream.clients import aiokafka_options
from stream.errors import NoBrokerError
from stream.record_batch import Outgoing, RecordBatch
from stream.settings import Settings

MAX_REQUEST_BYTES = 4 * 1024 * 1024
"""A dead letter holds its record in base64, so it can outgrow the largest record that the broker took in."""
MAX_BATCH_BYTES = 512 * 1024

KEPT_HASHES = 65_536


class Placed(NamedTuple):
    """A run of records that the broker acknowledged: `records` of them from offset `base` on."""

    topic: str
    partition: int
    base: int
    records: int


@lru_cache(maxsize=KEPT_HASHES)
def key_hash(key: bytes) -> int:
    """The hash of a key that all Kafka clients share, not negative. It is pure Python and costs more than appending the
    record, and the same entities come again and again."""
    found: int = murmur2(key) & 0x7FFFFFFF
    return found


def new_producer(settings: Settings) -> AIOKafkaProducer:
    """A producer to start: every replica acknowledges. Not idempotent: a producer whose sequence broke would be stuck,
    and a repetition is harmless here, since flags carry deterministic ids and state is the latest value of a key. Order
    within a partition holds all the same, because aiokafka has one request in flight for each."""
    return AIOKafkaProducer(
        acks="all",
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=20_000,
        **aiokafka_options(settings),
    )


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A producer from start to stop. Raises `NoBrokerError` when nothing answers."""
    broker = settings.need_broker()
    producer = new_producer(settings)
    try:
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            raise NoBrokerError(broker) from error
        yield producer
    finally:
        await producer.stop()


class Publisher:
    """Sends records in pre-built batches: about 1 µs a record, where a future for each costs 10."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._partitions: dict[str, list[int]] = {}

    async def send(self, records: Iterable[Outgoing]) -> list[Placed]:
        """Send `records` and wait for the acknowledgement of all. Raises `KafkaError` when one fails; others may by then
        have been written."""
        by_partition: dict[tuple[str, int], list[Outgoing]] = {}
        for record in records:
            topic, key, _, _, partition = record
            if partition is None:
                partitions = self._partitions.get(topic) or await self._partitions_of(topic)
                partition = random.choice(partitions) if key is None else partitions[key_hash(key) % len(partitions)]
            many = by_partition.get((topic, partition))
            if many is None:
                by_partition[topic, partition] = [record]
            else:
                many.append(record)
        pending: list[asyncio.Future[Any]] = []
        runs: list[tuple[str, int, int]] = []
        for (topic, partition), many in by_partition.items():
            for batch in self._build(many):
                runs.append((topic, partition, batch.record_count()))
                pending.append(await self._producer.send_batch(batch, topic, partition=partition))
        # All are awaited, also after a failure, so that no future is left with an exception nobody saw.
        placed: list[Placed] = []
        for run, outcome in zip(runs, await asyncio.gather(*pending, return_exceptions=True), strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            topic, partition, count = run
            placed.append(Placed(topic, partition, outcome.offset, count))
        return placed

    @staticmethod
    def _build(records: list[Outgoing]) -> Iterator[RecordBatch]:
        done, timestamp_ms = 0, int(time.time() * 1000)
        while done < len(records):
            batch = RecordBatch(MAX_BATCH_BYTES)
            done = batch.extend(records, start=done, timestamp_ms=timestamp_ms)
            batch.close()
            yield batch

    async def _partitions_of(self, topic: str) -> list[int]:
        self._partitions[topic] = found = sorted(await self._producer.partitions_for(topic))
        return found
