"""Stock Faust: an agent over `stream.events()` that sends each event on, as its manual shows; copies the bytes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import faust

from stream.bench.job import Drained, Job, Meter

NAME = "stock Faust"
WHAT = "async for event in stream.events(): await topic.send(…); copies the bytes"


def drain(job: Job) -> Drained:
    """Copy the backlog of `job` to its output topic."""
    logging.getLogger("faust").setLevel(logging.ERROR)
    return asyncio.run(_drain(job))


async def _drain(job: Job) -> Drained:
    app = faust.App(
        job.group, broker=f"kafka://{job.broker}", topic_disable_leader=True, web_enabled=False, autodiscover=False,
        datadir=job.folder, broker_commit_interval=1.0, stream_wait_empty=False,
    )
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    source, output = app.topic(job.source, **raw), app.topic(job.output, **raw)
    meter = Meter()
    seen = 0
    finished = asyncio.Event()

    async def copy(stream: Any) -> None:  # noqa: ANN401 (Faust's stream)
        nonlocal seen
        async for event in stream.events():
            meter.begin()
            await output.send(key=event.key, value=event.value)
            seen += 1
            if seen >= job.events:
                finished.set()

    app.agent(source, name="copy")(copy)
    starting = asyncio.create_task(app.start())
    try:
        await finished.wait()
        return meter.end(seen)
    finally:
        await app.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
