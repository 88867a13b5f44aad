"""A bare client: every record copied by aiokafka with one `send` each, no flag, no decoding, no Faust."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream.bench.job import Drained, Job, Meter

NAME = "raw aiokafka"
WHAT = "getmany, one send a record, gathered and committed every 20,000; copies the bytes"

COMMIT_EVERY = 20_000


def drain(job: Job) -> Drained:
    """Copy the backlog of `job` to its output topic."""
    return asyncio.run(_drain(job))


async def _drain(job: Job) -> Drained:
    consumer = AIOKafkaConsumer(
        job.source, bootstrap_servers=job.broker, group_id=job.group, auto_offset_reset="earliest", enable_auto_commit=False,
        max_partition_fetch_bytes=4 << 20, fetch_max_wait_ms=50,
    )
    producer = AIOKafkaProducer(bootstrap_servers=job.broker, linger_ms=5, max_batch_size=256 << 10, acks="all")
    await consumer.start()
    await producer.start()
    meter = Meter()
    seen = committed = 0
    pending: list[asyncio.Future[object]] = []
    try:
        while seen < job.events:
            fetched = await consumer.getmany(timeout_ms=500, max_records=4_000)
            for records in fetched.values():
                meter.begin()
                for record in records:
                    pending.append(await producer.send(job.output, record.value, record.key))  # noqa: PERF401 (a send each: that is the peer)
                seen += len(records)
            if seen - committed >= COMMIT_EVERY:
                await asyncio.gather(*pending)
                pending.clear()
                await consumer.commit()
                committed = seen
        await asyncio.gather(*pending)
        await consumer.commit()
        return meter.end(seen)
    finally:
        await consumer.stop()
        await producer.stop()
