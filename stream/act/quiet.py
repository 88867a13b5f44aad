"""Whose work can wait lets the others go first, where the process is busy."""

from __future__ import annotations

import asyncio
import time

BUSY_S = 0.0005
"""What lies in front of a task that has nothing to wait for, in a loop that is busy."""
STEP_S = 0.004
LONGEST_S = 0.02
"""Then its turn has come, however busy the loop is: 50 times a second and sink."""


class Quiet:
    """For one sink. All its sinks share the event loop of the process, and what one does there the others wait for."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def moment(self) -> None:
        """Return when the loop has nothing else to do, or after `LONGEST_S`; one after the other."""
        async with self._turn:
            until_s = time.monotonic() + LONGEST_S
            while True:
                began_s = time.monotonic()
                # Back when all that was ready before has run.
                await asyncio.sleep(0)
                now_s = time.monotonic()
                if now_s - began_s < BUSY_S or now_s >= until_s:
                    return
                await asyncio.sleep(STEP_S)
