"""Who may talk to an endpoint now: so many at once, so many a second, none while it is to be left alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from stream.act.answer import Again, Answer
from stream.act.breaker import Breaker


class Gate:
    """In front of one sink. Whoever entered must leave."""

    def __init__(
        self, *, concurrency: int, rate_per_s: float | None, breaker: Breaker, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._room = asyncio.Semaphore(concurrency)
        self._spacing_s = 0.0 if rate_per_s is None else 1.0 / rate_per_s
        self._breaker = breaker
        self._clock = clock
        self._not_before_s = 0.0
        self._paused_until_s = 0.0
        self._changed = asyncio.Event()

    @property
    def open(self) -> bool:
        """Whether attempts go through as they come: the breaker has not tripped."""
        return not self._breaker.open

    async def enter(self) -> None:
        """Return when an attempt may begin, in the order of asking."""
        await self._room.acquire()
        try:
            while (wait_s := self._wait_s()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait_s, 3600.0)):
                        await self._changed.wait()
        except BaseException:
            self._room.release()
            raise
        self._breaker.begin()
        self._not_before_s = self._clock() + self._spacing_s

    def leave(self, answer: Answer | None) -> None:
        """The attempt ended with `answer`, or was broken off."""
        self._room.release()
        if answer is None:
            self._breaker.abandoned()
        elif not isinstance(answer, Again):
            self._breaker.succeeded()
        elif answer.counts:
            self._breaker.failed(self._clock())
        else:
            # It lives, and asks for a pause.
            self._breaker.succeeded()
        if isinstance(answer, Again) and answer.after_s is not None:
            self._paused_until_s = max(self._paused_until_s, self._clock() + answer.after_s)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _wait_s(self) -> float:
        now_s = self._clock()
        return max(self._breaker.wait_s(now_s), self._paused_until_s - now_s, self._not_before_s - now_s)
