"""The watchdog ends a worker that has work and does none, and no other."""

from __future__ import annotations

import asyncio

import pytest

from stream.errors import BrokerError
from stream.lane import Lane
from stream.watchdog import STRIKES, watch


async def _ends(values: list[int | None]) -> bool:
    """Whether the watchdog returns while the lag takes these values, one a check; None stands for a broker that is away."""
    left = list(values)
    seen_all = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lags() -> dict[str, int]:
        if not left:
            loop.call_soon_threadsafe(seen_all.set)
            return {"t": 0}
        value = left.pop(0)
        if value is None:
            raise BrokerError("away")
        return {"t": value}

    watching = asyncio.create_task(watch([Lane("t")], lags, check_s=0.001))
    waiting = asyncio.create_task(seen_all.wait())
    await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
    ended = watching.done()
    for task in (watching, waiting):
        task.cancel()
    await asyncio.gather(watching, waiting, return_exceptions=True)
    return ended


@pytest.mark.parametrize(
    ("values", "ends"),
    [
        ([5] * (STRIKES + 1), True),
        ([5, 6, 7, 8, 9], True),
        ([0] * 10, False),
        ([50, 40, 30, 20, 10, 5, 3, 1], False),
        ([5, 5, 4, 4, 4, 3, 3, 3, 2], False),
        ([5, 5, None, 5, 5, None, 5, 5], False),
    ],
)
async def test_only_a_lag_that_does_not_shrink_ends_the_worker(values: list[int | None], ends: bool) -> None:
    assert await _ends(values) is ends
