"""Memory that requests and responses may take together."""

import asyncio
from collections import deque


class Budget:
    """Bytes in memory at once, at most `limit`; who asks for more waits. A single larger one passes alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def left(self) -> int:
        """Bytes that may still be taken."""
        return max(self._limit - self._taken, 0)

    async def take(self, count: int) -> None:
        """Returns once the bytes are there to be used."""
        while self._taken and self._taken + count > self._limit:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        self._taken += count

    def owe(self, count: int) -> None:
        """Counts bytes that are in memory already."""
        self._taken += count

    def give(self, count: int) -> None:
        """Returns bytes taken or owed, and lets the next ones in."""
        self._taken -= count
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_result(None)
