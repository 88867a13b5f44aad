"""`bench state`: values written through the changelog, restored from it, and what they take on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, Literal

from stream import topics
from stream.app import HISTORIES
from stream.bench.apart import drain_apart, last_core
from stream.bench.drains import state_restore, state_write
from stream.bench.job import Job
from stream.bench.keeper import values
from stream.bench.stage import stage


def run_state(
    *, writes: int = 50_000, keys: int = 5_000, store: Literal["rocksdb", "memory"] = "rocksdb", broker: str | None = None
) -> dict[str, Any]:
    """Figures of `writes` values of `keys` cards, of the size of a card's past, through the worker's own state table; then
    of a worker that starts without local state. Raises `StreamError`."""
    with stage(broker) as staged:
        staged.fill("transactions", ((b"card-%d" % (number * 7919 % keys), b"{}") for number in range(writes)))
        job = Job(
            broker=staged.broker, prefix=staged.prefix, group="state", kind="transaction", events=writes, output="",
            folder=str(staged.room()), state_store=store, cpu=last_core(),
        )
        written = drain_apart(state_write, job)
        changelog = topics.changelog_name(staged.settings.model_copy(update={"group": job.group}), HISTORIES)
        logged = sum(staged.ends_of(changelog).values())
        on_disk = sum(path.stat().st_size for path in Path(job.folder).rglob("*") if path.is_file() and "contender" not in path.name)
        restored = drain_apart(state_restore, replace(job, events=logged, folder=str(staged.room())))
        held = len({one.key for one in staged.read_of(changelog)})
    return {
        "writes_per_s": round(written.events_per_s, 1),
        "write_cpu_us": round(written.cpu_us_per_event, 2),
        "restore_records_per_s": round(restored.events_per_s, 1),
        "restore_cpu_us": round(restored.cpu_us_per_event, 2),
        "bytes_per_key": round(on_disk / held, 1) if store == "rocksdb" else None,
        "value_bytes": round(mean(map(len, values())), 1),
        "writes": writes,
        "changelog_records": logged,
        "keys": keys,
        "missing": keys - held,
        "store": store,
        "rss_mb": round(written.rss_mb, 1),
    }
