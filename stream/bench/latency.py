"""`bench latency`: an open loop. Events come on a schedule whether or not answers do, and each is timed from when it was due,
so that a stall counts against every event that it held up and not only against the one that met it (Tene 2013)."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream.bench.apart import aside, drain_apart, last_core, serving_apart
from stream.bench.corpus import KeyedValue, message_events, transaction_events
from stream.bench.drains import flagstream
from stream.bench.job import KINDS, TOPICS, Job, Kind
from stream.bench.stage import Stage, stage
from stream.errors import StreamError, UsageError

DEFAULT_SHARE = 0.5
CAPACITY_EVENTS: dict[Kind, int] = {"passthrough": 50_000, "message": 2_000, "transaction": 10_000}
WARM_SHARE = 0.2
START_TIMEOUT_S = 60.0
SETTLE_S = 10.0
IDLE_S = 0.02
_OCCURRED_AT = re.compile(rb'"occurred_at":"[^"]*"')

FLAG_ALL = """version = 1
name = "bench: flag everything"
[labels.{label}]
review = 0.0
severity = "info"
"""
LABELS: dict[Kind, str] = {"message": "harassment", "transaction": "fraud", "passthrough": "spam"}


def run_latency(
    kind: Kind = "message", *, rate: float | None = None, seconds: float = 20.0, broker: str | None = None
) -> dict[str, Any]:
    """Figures of `rate` events a second (default: half of what the worker drains in this run) for `seconds`, after a warm-up
    of a fifth of that. The worker has a core of its own where there are several. The policy flags every event, so that each is timed. Raises `StreamError`."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if not seconds > 0 or (rate is not None and not rate > 0):
        raise UsageError("rate and seconds must be positive")
    core = last_core()
    with aside(core), stage(broker) as staged:
        policy = staged.folder / "policy.toml"
        policy.write_text(FLAG_ALL.format(label=LABELS[kind]))
        capacity = None
        if rate is None:
            count = CAPACITY_EVENTS[kind]
            staged.fill(TOPICS[kind], _events(kind, count))
            capacity = drain_apart(flagstream, _job(staged, kind, policy, events=count, core=core)).events_per_s
            rate = capacity * DEFAULT_SHARE
        with serving_apart(flagstream, _job(staged, kind, policy, events=0, core=core)):
            loop = _OpenLoop(staged, kind, rate=rate, seconds=seconds)
            figures = asyncio.run(loop.run())
    return {**figures, "kind": kind, "capacity_per_s": None if capacity is None else round(capacity, 1)}


def _events(kind: Kind, count: int) -> Iterator[KeyedValue]:
    return transaction_events(count) if kind == "transaction" else message_events(count)


def _now(value: bytes) -> bytes:
    """The event, happening now as in a live stream: where hours pass in seconds, transactions wait for theirs to close."""
    return _OCCURRED_AT.sub(b'"occurred_at":"%b"' % datetime.now(UTC).isoformat().encode(), value, count=1)


def _job(staged: Stage, kind: Kind, policy: Path, *, events: int, core: int | None) -> Job:
    return Job(
        broker=staged.broker, prefix=staged.prefix, group="latency", kind=kind, events=events, output="",
        folder=str(staged.room()), policy=str(policy), cpu=core,
    )


class _OpenLoop:
    """Sends on schedule and collects flags, in one loop and on one clock."""

    def __init__(self, staged: Stage, kind: Kind, *, rate: float, seconds: float) -> None:
        self._staged = staged
        self._rate = rate
        self._seconds = seconds
        warm = max(1, int(rate * seconds * WARM_SHARE))
        self._warm = warm
        self._events = list(_events(kind, warm + max(1, int(rate * seconds))))
        self._topic = staged.names.wire(TOPICS[kind])
        self._flags = staged.names.wire("flags")
        self._arrived: list[tuple[float, bytes]] = []
        self._due: list[float] = []
        self._sent: list[float] = []
        self._places: list[asyncio.Future[Any]] = []

    async def run(self) -> dict[str, Any]:
        """The figures."""
        until = await asyncio.to_thread(self._staged.ends, "flags")
        consumer = AIOKafkaConsumer(bootstrap_servers=self._staged.broker, enable_auto_commit=False, fetch_max_wait_ms=500)
        producer = AIOKafkaProducer(bootstrap_servers=self._staged.broker, acks="all", max_batch_size=256 << 10)
        await consumer.start()
        await producer.start()
        collecting: asyncio.Task[None] | None = None
        try:
            consumer.assign([TopicPartition(self._flags, partition) for partition in until])
            for partition, end in until.items():
                consumer.seek(TopicPartition(self._flags, partition), end)
            collecting = asyncio.create_task(self._collect(consumer))
            await self._until_answered(producer)
            await self._send(producer)
            await self._settle()
        finally:
            if collecting is not None:
                collecting.cancel()
                await asyncio.gather(collecting, return_exceptions=True)
            await consumer.stop()
            await producer.stop()
        return self._figures()

    async def _until_answered(self, producer: AIOKafkaProducer) -> None:
        """Wait until the worker answers one event, which takes its start and its join of the group."""
        key, value = self._events[0]
        await producer.send_and_wait(self._topic, _now(value), key)
        deadline_s = time.perf_counter() + START_TIMEOUT_S
        while not self._arrived:
            if time.perf_counter() > deadline_s:
                raise StreamError(f"the worker flagged nothing within {START_TIMEOUT_S:.0f} s of its start")
            await asyncio.sleep(IDLE_S)
        self._arrived.clear()

    async def _send(self, producer: AIOKafkaProducer) -> None:
        begun_s = time.perf_counter() + 0.5
        for number, (key, value) in enumerate(self._events):
            due_s = begun_s + number / self._rate
            if (left_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(left_s)
            self._due.append(due_s)
            self._sent.append(time.perf_counter())
            self._places.append(await producer.send(self._topic, _now(value), key))

    async def _collect(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            fetched = await consumer.getmany(timeout_ms=1_000)
            now_s = time.perf_counter()
            for records in fetched.values():
                self._arrived.extend((now_s, record.value) for record in records)

    async def _settle(self) -> None:
        """Wait for the last answers, until all are there or none has come for long."""
        await asyncio.gather(*self._places)
        deadline_s = time.perf_counter() + SETTLE_S
        while len(self._arrived) < len(self._events) and time.perf_counter() < deadline_s:  # noqa: ASYNC110 (either may end it)
            await asyncio.sleep(IDLE_S)

    def _figures(self) -> dict[str, Any]:
        numbers: dict[tuple[int, int], int] = {}
        for sent_as, place in enumerate(self._places):
            stored = place.result()
            numbers[stored.partition, stored.offset] = sent_as
        first: dict[int, float] = {}
        for at_s, value in self._arrived:
            event = json.loads(value)["event"]
            number = numbers.get((event["partition"], event["offset"]))
            if number is not None:
                first.setdefault(number, at_s)
        timed = [number for number in first if number >= self._warm]
        latency = sorted((first[number] - self._due[number]) * 1000 for number in timed)
        since_send = sorted((first[number] - self._sent[number]) * 1000 for number in timed)
        late = sorted((sent - due) * 1000 for sent, due in zip(self._sent[self._warm :], self._due[self._warm :], strict=True))
        return {
            "p50_ms": at(latency, 0.5), "p95_ms": at(latency, 0.95), "p99_ms": at(latency, 0.99), "max_ms": at(latency, 1.0),
            "rate": round(self._rate, 1),
            "offered": len(self._events) - self._warm,
            "answered": len(timed),
            "late_p99_ms": at(late, 0.99),
            "append_p50_ms": at(since_send, 0.5), "append_p99_ms": at(since_send, 0.99),
        }


def at(ordered: Sequence[float], share: float) -> float | None:
    """The value below or at which `share` of `ordered` (ascending) lies, nearest rank; None of nothing."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 2)
