"""A bare client: `async for` over aiokafka's consumer, nothing decoded, committed every half second by the client itself."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer

from stream.bench.job import Drained, Job, Meter

NAME = "raw aiokafka"
WHAT = "async for over the bytes of flags, committed every half second"

COMMIT_INTERVAL_MS = 500


def drain(job: Job) -> Drained:
    """Read the flags of `job` as bytes."""
    return asyncio.run(_drain(job))


async def _drain(job: Job) -> Drained:
    consumer = AIOKafkaConsumer(
        f"{job.prefix}flags", bootstrap_servers=job.broker, group_id=job.group, auto_offset_reset="earliest",
        auto_commit_interval_ms=COMMIT_INTERVAL_MS,
    )
    meter, seen = Meter(), 0
    await consumer.start()
    try:
        async for record in consumer:
            meter.begin()
            seen += record.value is not None
            if seen == job.events:
                break
        return meter.end(seen)
    finally:
        await consumer.stop()
