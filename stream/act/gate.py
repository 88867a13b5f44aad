"""Who may talk to an endpoint now: so many at once, so many a second, none while it is to be left alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from stream.act.answer import Again, Answer
from stream.act.breaker import Breaker
from stream.act.quiet import Quiet

REMEMBERED = 0.9
"""How much of the share of failures stays with each attempt: about the last ten count."""
FAILING = 0.05
"""A share of failures; one is forgotten after seven successes."""


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
        self._failed_share = 0.0
        self._quiet = Quiet()

    @property
    def open(self) -> bool:
        """Whether attempts go through as they come: the breaker has not tripped."""
        return not self._breaker.open

    async def enter(self) -> None:
        """Return when an attempt may begin, in the order of asking. Where attempts have failed of late, those to other sinks come first."""
        await self._room.acquire()
        try:
            if self._failed_share > FAILING:
                await self.after_others()
            while (wait_s := self._wait_s()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait_s, 3600.0)):
                        await self._changed.wait()
        except BaseException:
            self._room.release()
            raise
        self._breaker.begin()
        self._not_before_s = self._clock() + self._spacing_s

    async def after_others(self) -> None:
        """Return when the process has nothing better to do, or soon."""
        await self._quiet.moment()

    def leave(self, answer: Answer | None) -> None:
        """The attempt ended with `answer`, or was broken off."""
        self._room.release()
        if answer is not None:
            self._failed_share = REMEMBERED * self._failed_share + (1 - REMEMBERED) * isinstance(answer, Again)
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
