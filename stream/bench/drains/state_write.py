"""The worker with an agent that only keeps state: each batch's values to the changelog, then to the local store."""

from __future__ import annotations

import asyncio
import logging

from stream.app import Registration
from stream.bench.drains.flagstream import drain_with, settings_of
from stream.bench.job import Drained, Job
from stream.bench.keeper import KeeperAgent

NAME = "state, written"
WHAT = "one value an event: changelog acknowledged, stored, input acknowledged"

BATCH = 512


def drain(job: Job) -> Drained:
    """Write a value for each record of the backlog."""
    logging.getLogger("faust").setLevel(logging.ERROR)
    registered = Registration("transactions", lambda state: KeeperAgent(state or {}), BATCH, stateful=True)
    return asyncio.run(drain_with([registered], job, settings_of(job)))
