"""`async for flag in subscribe(…)`: flags read, checked and typed, in a group that commits."""

from __future__ import annotations

import asyncio

from stream.bench.job import Drained, Job, Meter
from stream.subscribe import subscribe

NAME = "subscribe"
WHAT = "async for over typed flags, repetitions dropped, committed every half second"


def drain(job: Job) -> Drained:
    """Read the flags of `job`."""
    return asyncio.run(_drain(job))


async def _drain(job: Job) -> Drained:
    meter, seen = Meter(), 0
    async with subscribe(group=job.group, broker=job.broker, prefix=job.prefix) as flags:
        async for flag in flags:
            meter.begin()
            seen += flag.version
            if seen == job.events:
                break
        drained = meter.end(seen)
        flags.done()
    return drained
