"""How much of everything a rate needs, from what an event was measured to cost. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

BUSY = 0.6
"""How busy a worker is planned to be, so that the others carry the load of one that restarts, and a backlog is caught up."""
SPARE = 2
"""Partitions for each worker, so that the group can double without a new topic."""
PARTITIONS_PER_BROKER = 4_000
"""Leaders and copies together: what Kafka's KIP-578 calls the recommendation, and what Amazon MSK says of its larger brokers."""
BROKER_MB_PER_S = 100.0
"""Writes that a broker is planned to take, copies included: well below a 10 Gbit/s network and a fast disk."""
MIN_BROKERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU of an event in µs, in the worker and in the broker, and the bytes that are written for it: itself, its flags, its state."""

    worker_us: float
    broker_us: float = 0.0
    bytes_written: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a rate needs: `workers` of one core each, `partitions` of the input, `written_mb_per_s` on all brokers together."""

    events_per_s: float
    workers: int
    partitions: int
    brokers: int
    written_mb_per_s: float


def capacity(cost: Cost, *, workers: int, cores: float, partitions: int | None = None) -> float:
    """Events a second of `workers` that share `cores` with an embedded broker, which has one core at most. The fullest worker
    holds all up: where `partitions` do not divide evenly it reads more than its share."""
    reading = workers if partitions is None else partitions / ceil(partitions / workers)
    limits = [reading * 1e6 / cost.worker_us, cores * 1e6 / (cost.worker_us + cost.broker_us)]
    if cost.broker_us:
        limits.append(1e6 / cost.broker_us)
    return min(limits)


def size(events_per_s: float, cost: Cost, *, copies: int = 3) -> Size:
    """What `events_per_s` need on Apache Kafka with `copies` of each record."""
    workers = ceil(events_per_s * cost.worker_us / 1e6 / BUSY)
    partitions = workers * SPARE
    written = events_per_s * cost.bytes_written * copies / 1e6
    brokers = max(MIN_BROKERS, ceil(written / BROKER_MB_PER_S), ceil(partitions * copies / PARTITIONS_PER_BROKER))
    return Size(
        events_per_s=events_per_s, workers=workers, partitions=partitions, brokers=brokers, written_mb_per_s=round(written, 1)
    )
