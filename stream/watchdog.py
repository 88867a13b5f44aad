"""Notices a worker that has work and does none: Kafka clients are known to stop fetching after some rebalances.

The cure is to begin anew (`stream.again`), which loses nothing; the disease is to sit there looking alive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

import structlog

from stream.errors import StreamError
from stream.lane import Lane

log = structlog.get_logger(__name__)

CHECK_S = 20.0
STRIKES = 3
"""Checks in a row without progress that end the worker: a minute."""

Lags = Callable[[], Mapping[str, int]]
"""Uncommitted records by topic on the wire; blocking; may raise `StreamError` while the broker is away."""


async def watch(lanes: Iterable[Lane], lags: Lags, *, check_s: float = CHECK_S) -> None:
    """Return when a lane has been idle, with records to read and none committed, for `STRIKES` checks in a row."""
    watched = list(lanes)
    before: Mapping[str, int] = {}
    strikes = dict.fromkeys((lane.topic for lane in watched), 0)
    while True:
        await asyncio.sleep(check_s)
        try:
            now = await asyncio.to_thread(lags)
        except StreamError:
            # The broker is away: no progress is to be expected.
            strikes = dict.fromkeys(strikes, 0)
            continue
        for lane in watched:
            left = now.get(lane.topic, 0)
            stalled = lane.idle and left > 0 and left >= before.get(lane.topic, left + 1)
            strikes[lane.topic] = strikes[lane.topic] + 1 if stalled else 0
            if strikes[lane.topic] >= STRIKES:
                log.error("worker.stalled", topic=lane.topic, uncommitted=left)
                return
        before = now
