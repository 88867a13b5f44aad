"""`bench subscribe`: a backlog of flags read by a subscription, and by aiokafka's own loop, which decodes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from schemas.codec import Position, RawRecord, encode
from stream.bench.apart import Contender, drain_apart, last_core
from stream.bench.corpus import KeyedValue, message_events
from stream.bench.drains import raw_reader, subscriber
from stream.bench.job import Drained, Job
from stream.bench.passthrough import PassthroughAgent
from stream.bench.stage import stage


def run_subscribe(*, flags: int = 100_000, rounds: int = 3, broker: str | None = None) -> dict[str, Any]:
    """Figures of reading `flags` flags in an asyncio loop on one core; the two take turns for `rounds` rounds, and the ratio is
    the median of the rounds' ratios. Raises `StreamError`."""
    with stage(broker) as staged:
        staged.fill("flags", flag_events(flags))
        drained: dict[str, list[Drained]] = {one.NAME: [] for one in (subscriber, raw_reader)}
        for number in range(rounds):
            order: Sequence[Contender] = (subscriber, raw_reader) if number % 2 == 0 else (raw_reader, subscriber)
            for contender in order:
                job = Job(
                    broker=staged.broker, prefix=staged.prefix, group=f"{number}-{contender.NAME}".replace(" ", "-"), kind="passthrough",
                    events=flags, output="", folder=str(staged.room()), cpu=last_core(),
                )
                drained[contender.NAME].append(drain_apart(contender, job))
    ours, raw = drained[subscriber.NAME], drained[raw_reader.NAME]
    return {
        "flags": flags,
        "rounds": rounds,
        "flags_per_s": round(median(one.events_per_s for one in ours), 1),
        "cpu_us_per_flag": round(median(one.cpu_us_per_event for one in ours), 2),
        "raw_aiokafka_flags_per_s": round(median(one.events_per_s for one in raw), 1),
        "raw_aiokafka_cpu_us_per_flag": round(median(one.cpu_us_per_event for one in raw), 2),
        "ratio_raw_flags": round(median(one.events_per_s / peer.events_per_s for one, peer in zip(ours, raw, strict=True)), 3),
        "ratio_raw_cpu": round(median(peer.cpu_us_per_event / one.cpu_us_per_event for one, peer in zip(ours, raw, strict=True)), 3),
    }


def flag_events(count: int) -> Iterator[KeyedValue]:
    """`count` flags as they are published, keyed by their entity."""
    agent, at = PassthroughAgent(), datetime.now(UTC)
    for number, (key, value) in enumerate(message_events(count)):
        (flag,) = agent.handle([RawRecord(Position("messages", 0, number), key, value, 0)], at=at).flags
        yield key, encode(flag)
