"""`bench scale`: one worker and two on the same stream, beside what the arithmetic of `sizing` says of them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stream import groups
from stream.bench.apart import serving_apart
from stream.bench.corpus import message_events, transaction_events
from stream.bench.drains import flagstream
from stream.bench.job import KINDS, TOPICS, Job, Kind
from stream.bench.sizing import Cost, capacity, size
from stream.bench.stage import Stage, stage
from stream.errors import StreamError, UsageError
from stream.settings import Settings

EVENTS: dict[Kind, int] = {"passthrough": 400_000, "message": 6_000, "transaction": 40_000}
RATES = (10_000, 100_000, 1_000_000)
WARM = 64
POLL_S = 0.25
TIMEOUT_S = 300.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def run_scale(
    kind: Kind = "message", *, events: int | None = None, workers: Sequence[int] = (1, 2), broker: str | None = None
) -> dict[str, Any]:
    """Figures of draining `events` of `kind` with each number of `workers`, and what rates need by the cost that one worker had
    here. Needs Linux (CPU of other processes). Raises `StreamError`."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
    if not Path("/proc/self/stat").exists():
        raise UsageError("bench scale reads the CPU of its workers from /proc, which this system does not have")
    count = events or EVENTS[kind]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    runs = []
    for number in workers:
        with stage(broker) as staged:
            runs.append(_run(staged, kind, count, workers=number))
    first = runs[0]
    cost = Cost(worker_us=first["worker_us"], broker_us=first["broker_us"], bytes_written=first["bytes_written"])
    # From the first run on, whatever share of the machine this run was given.
    partitions = first["partitions"]
    alone = capacity(cost, workers=workers[0], cores=cores, partitions=partitions)
    for number, run in zip(workers, runs, strict=True):
        share = capacity(cost, workers=number, cores=cores, partitions=partitions) / alone
        run["predicted_events_per_s"] = round(first["events_per_s"] * share, 1)
    return {
        "kind": kind,
        "events": count,
        "cores": cores,
        "runs": runs,
        "efficiency": round(runs[-1]["events_per_s"] / first["events_per_s"] * workers[0] / workers[-1], 3),
        "efficiency_cpu": round(first["worker_us"] / runs[-1]["worker_us"], 3),
        "sizes": [asdict(size(rate, cost)) for rate in RATES],
    }


def _run(staged: Stage, kind: Kind, count: int, *, workers: int) -> dict[str, Any]:
    made = transaction_events(count + WARM) if kind == "transaction" else message_events(count + WARM)
    group = f"scale-{workers}"
    settings = staged.settings.model_copy(update={"group": group})
    with ExitStack() as running:
        pids = []
        for _ in range(workers):
            job = Job(
                broker=staged.broker, prefix=staged.prefix, group=group, kind=kind, events=0, output="", folder=str(staged.room()),
            )
            pids.append(running.enter_context(serving_apart(flagstream, job)))
        _until_members(settings, workers)
        staged.fill(TOPICS[kind], (next(made) for _ in range(WARM)))
        _until_done(staged, settings, TOPICS[kind], WARM)
        ends = staged.ends(TOPICS[kind])
        flags_before = sum(staged.ends("flags").values())
        cpu_before, broker_before, began_s = [_cpu_s(pid) for pid in pids], _cpu_s(staged.broker_pid), time.perf_counter()
        written_before = _written(staged)
        staged.fill(TOPICS[kind], made)
        _until_done(staged, settings, TOPICS[kind], count + WARM)
        seconds = time.perf_counter() - began_s
        used = sum(_cpu_s(pid) - before for pid, before in zip(pids, cpu_before, strict=True))
        broker_used = _cpu_s(staged.broker_pid) - broker_before
        written = _written(staged) - written_before
        flags = sum(staged.ends("flags").values()) - flags_before
    return {
        "workers": workers,
        "events_per_s": round(count / seconds, 1),
        "worker_us": round(used / count * 1e6, 2),
        "broker_us": round(broker_used / count * 1e6, 2),
        "flags_per_event": round(flags / count, 4),
        "bytes_written": round(written / count, 1),
        "partitions": len(ends),
    }


def _until_members(settings: Settings, workers: int) -> None:
    """Wait until the group has so many members and is at rest."""
    deadline = time.monotonic() + TIMEOUT_S
    name = f"{settings.prefix}{settings.group}"
    while time.monotonic() < deadline:
        if groups.state(settings, name) == ("Stable", workers):
            return
        time.sleep(POLL_S)
    raise StreamError(f"{workers} workers did not join within {TIMEOUT_S:.0f} s")


def _until_done(staged: Stage, settings: Settings, topic: str, count: int) -> None:
    """Wait until the group has committed `count` records of `topic`."""
    wire, group, deadline = staged.names.wire(topic), staged.names.wire(settings.group), time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        if sum(offset for tp, offset in groups.committed(settings, group).items() if tp.topic == wire) >= count:
            return
        time.sleep(POLL_S)
    raise StreamError(f"the workers did not judge {count} records within {TIMEOUT_S:.0f} s")


def _written(staged: Stage) -> int:
    """Bytes of the embedded broker's logs: input, flags, state and what agents send each other, as compressed on the way; 0 of
    another broker's."""
    return sum(path.stat().st_size for path in staged.logs.rglob("*.log")) if staged.embedded else 0


def _cpu_s(pid: int | None) -> float:
    """CPU seconds of a process so far, user and system; 0 of one that is not here."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
