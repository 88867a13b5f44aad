"""What a contender is asked to do in its own process, and what it says afterwards."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["message", "transaction", "passthrough"]
KINDS: tuple[Kind, ...] = ("message", "transaction", "passthrough")
TOPICS: dict[Kind, str] = {"message": "messages", "transaction": "transactions", "passthrough": "messages"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A backlog of `events` records lies in the input topic of `kind`, behind `prefix`; drain it as `group`.

    `output` is the topic that a contender without a policy copies to, `folder` an empty folder for local state."""

    broker: str
    prefix: str
    group: str
    kind: Kind
    events: int
    output: str
    folder: str
    policy: str | None = None
    state_store: Literal["rocksdb", "memory"] = "memory"
    cpu: int | None = None

    @property
    def source(self) -> str:
        """The input topic on the wire."""
        return f"{self.prefix}{TOPICS[self.kind]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """`events` took `seconds` and `cpu_s` of this process from the first record in hand to the last acknowledgement;
    `rss_mb` is the most memory it held."""

    events: int
    seconds: float
    cpu_s: float
    rss_mb: float

    @property
    def events_per_s(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_us_per_event(self) -> float:
        """CPU of the process in µs an event, all its threads together."""
        return self.cpu_s / self.events * 1e6


class Meter:
    """Clock and CPU of this process, from the first `begin` to `end`."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def begin(self) -> None:
        """Start, unless it runs already."""
        if self._began is None:
            self._began = time.perf_counter(), cpu_s()

    def end(self, events: int) -> Drained:
        """What `events` took since `begin`."""
        now_s, used_s = time.perf_counter(), cpu_s()
        assert self._began is not None, "nothing was begun"
        return Drained(events=events, seconds=now_s - self._began[0], cpu_s=used_s - self._began[1], rss_mb=peak_mb())


def cpu_s() -> float:
    """CPU seconds of this process so far, user and system."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """The most memory that this process held, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # getrusage would count what the parent held when it forked.
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
