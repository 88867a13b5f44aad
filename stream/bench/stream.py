"""`bench stream`: a backlog drained by a worker in its own process, and by its peers in the same run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from stream.bench.account import NOTHING, account, expected
from stream.bench.apart import Contender, drain_apart, last_core
from stream.bench.corpus import message_events, transaction_events
from stream.bench.drains import flagstream, raw_aiokafka, stock_faust
from stream.bench.job import KINDS, TOPICS, Drained, Job, Kind
from stream.bench.stage import Stage, stage
from stream.errors import UsageError
from stream.settings import load

EVENTS: dict[Kind, int] = {"passthrough": 200_000, "message": 5_000, "transaction": 20_000}
STOCK_EVENTS = 10_000
OUTPUT = "verdicts"
"""The topic of the table that the copying peers write to: it has as many partitions as the others, and no agent reads it."""


def run_stream(
    kind: Kind = "passthrough", *, events: int | None = None, rounds: int = 3, stock_events: int | None = None,
    broker: str | None = None,
) -> dict[str, Any]:
    """Figures of draining `events` records of `kind`; contenders take turns for `rounds` rounds, and a ratio is the median
    of its rounds. Raises `StreamError`."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    count = events or EVENTS[kind]
    peers = {raw_aiokafka.NAME: count, stock_faust.NAME: min(count, stock_events or STOCK_EVENTS)}
    with stage(broker) as staged:
        made = transaction_events(count) if kind == "transaction" else message_events(count)
        staged.fill(TOPICS[kind], made)
        drained: dict[str, list[Drained]] = {one.NAME: [] for one in (flagstream, raw_aiokafka, stock_faust)}
        wanted = expected(kind, staged, load())
        counted = NOTHING
        for number in range(rounds):
            order: Sequence[Contender] = (flagstream, raw_aiokafka, stock_faust)
            for contender in order if number % 2 == 0 else tuple(reversed(order)):
                before = staged.ends("flags"), staged.ends("dead-letters")
                job = _job(staged, kind, f"{number}-{contender.NAME}", events=peers.get(contender.NAME, count))
                drained[contender.NAME].append(drain_apart(contender, job))
                if contender is flagstream:
                    out = [*staged.read("flags", before[0]), *staged.read("dead-letters", before[1])]
                    counted += account(out, wanted())
    return {"kind": kind, "events": count, "rounds": rounds, **_figures(drained), **asdict(counted)}


def _job(staged: Stage, kind: Kind, group: str, *, events: int) -> Job:
    return Job(
        broker=staged.broker, prefix=staged.prefix, group=group.replace(" ", "-"), kind=kind, events=events,
        output=staged.names.wire(OUTPUT), folder=str(staged.room()), cpu=last_core(),
    )


def _figures(drained: dict[str, list[Drained]]) -> dict[str, Any]:
    ours, raw, stock = (drained[one.NAME] for one in (flagstream, raw_aiokafka, stock_faust))
    return {
        "events_per_s": round(median(one.events_per_s for one in ours), 1),
        "cpu_us_per_event": round(median(one.cpu_us_per_event for one in ours), 2),
        "raw_aiokafka_events_per_s": round(median(one.events_per_s for one in raw), 1),
        "ratio_raw": _ratio(ours, raw),
        "stock_faust_events_per_s": round(median(one.events_per_s for one in stock), 1),
        "ratio_stock": _ratio(ours, stock),
        "raw_aiokafka_cpu_us_per_event": round(median(one.cpu_us_per_event for one in raw), 2),
        "stock_faust_cpu_us_per_event": round(median(one.cpu_us_per_event for one in stock), 2),
        "rss_mb": round(max(one.rss_mb for one in ours), 1),
    }


def _ratio(ours: Sequence[Drained], peers: Sequence[Drained]) -> float:
    return round(median(one.events_per_s / peer.events_per_s for one, peer in zip(ours, peers, strict=True)), 3)
