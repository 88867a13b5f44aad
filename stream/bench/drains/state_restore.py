"""The worker on a machine that has no local state yet: the changelog is read until the table is whole."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from stream import collector, topics
from stream.app import HISTORIES, Registration, build_app
from stream.bench.drains.flagstream import settings_of
from stream.bench.job import Drained, Job, Meter
from stream.bench.keeper import KeeperAgent
from stream.publisher import new_producer

NAME = "state, restored"
WHAT = "changelog records applied until the table is whole"

POLL_S = 0.005


def drain(job: Job) -> Drained:
    """Restore the state of the group of `job`, whose changelog holds `events` records."""
    logging.getLogger("faust").setLevel(logging.ERROR)
    return asyncio.run(_drain(job))


async def _drain(job: Job) -> Drained:
    # As a worker does.
    collector.spare()
    meter = Meter()
    settings = settings_of(job)
    partitions = topics.partition_counts(settings)
    changelog = topics.changelog_name(settings, HISTORIES)
    producer = new_producer(settings)
    await producer.start()
    registered = Registration("transactions", lambda state: KeeperAgent(state or {}), 1, stateful=True)
    app = build_app(settings, [registered], producer, partitions=partitions)
    transport: Any = app.transport
    apply = transport.restores[changelog]
    restored = 0

    def counted(tp: Any, records: Any) -> None:  # noqa: ANN401 (Faust's and aiokafka's)
        nonlocal restored
        meter.begin()
        apply(tp, records)
        restored += len(records)

    transport.restores[changelog] = counted
    starting = asyncio.create_task(app.start())
    try:
        while restored < job.events:  # noqa: ASYNC110 (counted in a callback that must stay cheap)
            await asyncio.sleep(POLL_S)
        return meter.end(restored)
    finally:
        await app.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await producer.stop()
