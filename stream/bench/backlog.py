"""`bench stream --backlog`: the memory of a worker before a long queue, beside that of the same worker before a short one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stream.bench.apart import drain_apart, last_core
from stream.bench.corpus import message_events, transaction_events
from stream.bench.drains import flagstream
from stream.bench.job import KINDS, TOPICS, Job, Kind
from stream.bench.stage import stage
from stream.errors import UsageError

DRAINED: dict[Kind, int] = {"passthrough": 1_000_000, "message": 5_000, "transaction": 20_000}
"""How many of the backlog a worker judges at most: its memory fills with what it fetches ahead, in the first second."""
SHORT = 10_000


def run_backlog(kind: Kind = "passthrough", *, backlog: int = 1_000_000, broker: str | None = None) -> dict[str, Any]:
    """Peak memory of a worker that starts before `backlog` records of `kind`, and of one that starts before a hundredth of
    them. Raises `StreamError`."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    short = min(SHORT, max(1, backlog // 100))
    with stage(broker) as staged:
        events = transaction_events(backlog) if kind == "transaction" else message_events(backlog)
        staged.fill(TOPICS[kind], (next(events) for _ in range(short)))
        job = Job(
            broker=staged.broker, prefix=staged.prefix, group="short", kind=kind, events=short, output="", folder=str(staged.room()),
            state_store="rocksdb", cpu=last_core(),
        )
        before = drain_apart(flagstream, job)
        staged.fill(TOPICS[kind], events)
        count = min(backlog, DRAINED[kind])
        drained = drain_apart(flagstream, replace(job, group="long", events=count, folder=str(staged.room())))
    return {
        "kind": kind,
        "backlog": backlog,
        "judged": count,
        "events_per_s": round(drained.events_per_s, 1),
        "cpu_us_per_event": round(drained.cpu_us_per_event, 2),
        "rss_mb": round(drained.rss_mb, 1),
        "short_backlog": short,
        "short_rss_mb": round(before.rss_mb, 1),
    }
