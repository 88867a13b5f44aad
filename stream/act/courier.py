"""Takes held flags to a sink: in order for each entity, side by side otherwise, until each is delivered or a dead letter."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Literal

import structlog

from stream import metrics
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.act.backoff import pauses
from stream.act.gate import Gate
from stream.act.letters import Letters
from stream.act.rules import SinkRules
from stream.act.sink import Sink
from stream.subscribe.held import Held
from stream.subscribe.progress import Window

log = structlog.get_logger(__name__)

Cause = Literal["Refused", "GaveUp", "TooOld"]
"""Why a flag became a dead letter: the sink will not take it, the attempts are used up, or it is not worth acting on any more."""
OUTCOMES = {Delivered: "delivered", Again: "again", Refused: "refused"}


class Courier:
    """For one subscription of the sink `name`. `remembered` ids that were delivered are not delivered again (0: none is)."""

    def __init__(self, name: str, sink: Sink, rules: SinkRules, gate: Gate, letters: Letters, *, remembered: int) -> None:
        self._name = name
        self._sink = sink
        self._rules = rules
        self._gate = gate
        self._letters = letters
        self._delivered = Window(remembered)
        self._waiting: dict[str, deque[Held]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None] | None] = set()
        self._stopping = False
        self._buried = 0
        self._last_reason = ""

    @property
    def held(self) -> int:
        """Flags that are not done."""
        return sum(map(len, self._waiting.values()))

    def accept(self, held: Held) -> None:
        """Take `held` on; it is done when it is delivered or a dead letter."""
        if self._stopping:
            return
        entity = held.flag.entity
        waiting = self._waiting.get(entity)
        if waiting is not None:
            waiting.append(held)
            return
        self._waiting[entity] = queue = deque([held])
        task = asyncio.create_task(self._work(entity, queue))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def report(self) -> None:
        """A line for the dead letters since the last: they may come by the thousand."""
        if self._buried:
            log.warning("action.dead_letters", sink=self._name, count=self._buried, last=self._last_reason)
            self._buried = 0

    def drop(self) -> None:
        """Forget everything: the partitions went to another member, and what is not done comes again there."""
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()

    async def finish(self, within_s: float) -> None:
        """Take nothing up any more, and give attempts under way `within_s` to end. What is not done by then comes again."""
        self._stopping = True
        self._waiting.clear()
        for task in self._tasks - self._sending:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.report()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("action.failed", sink=self._name, error=type(error).__name__, exc_info=error)

    async def _work(self, entity: str, queue: deque[Held]) -> None:
        try:
            while queue:
                if not await self._settle(queue[0]) or self._waiting.get(entity) is not queue:
                    return
                queue.popleft()
        finally:
            if self._waiting.get(entity) is queue:
                del self._waiting[entity]

    async def _settle(self, held: Held) -> bool:
        """See `held` through; False when there was no time for it."""
        if held.flag.id in self._delivered:
            held.done()
            return True
        buried = await self._deliver(held)
        if buried is None:
            return False
        self._delivered.add(held.flag.id)
        held.done()
        metrics.ACTIONS.labels(self._name, "dead_letter" if buried else "delivered").inc()
        return True

    async def _deliver(self, held: Held) -> bool | None:
        """Whether it became a dead letter, in the end; None when there was no time."""
        rules = self._rules
        published_s = held.raw.timestamp_ms / 1000
        waits = pauses(rules.first_backoff_s, rules.max_backoff_s)
        attempts = 0
        answer: Again | None = None
        while not self._stopping:
            if not await self._enter(published_s + rules.max_age_s - time.time()):
                # Where an endpoint is given up they come by the thousand, and nobody waits for them.
                await self._gate.after_others()
                return await self._bury(held, "TooOld", f"published more than {rules.max_age_s:g} s ago", answer)
            given = await self._attempt(held)
            if isinstance(given, Delivered):
                metrics.ACTION_LATENCY.labels(self._name).observe(max(0.0, time.time() - published_s))
                return False
            if isinstance(given, Refused):
                return await self._bury(held, "Refused", given.reason, given)
            answer = given
            attempts += given.counts
            if attempts >= rules.attempts:
                return await self._bury(held, "GaveUp", f"{attempts} attempts failed, the last with {given.reason}", given)
            if not self._stopping:
                await asyncio.sleep(max(next(waits), given.after_s or 0.0))
        return None

    async def _enter(self, within_s: float) -> bool:
        if within_s <= 0:
            return False
        try:
            async with asyncio.timeout(within_s):
                await self._gate.enter()
        except TimeoutError:
            return False
        return True

    async def _attempt(self, held: Held) -> Answer:
        answer: Answer | None = None
        task = asyncio.current_task()
        self._sending.add(task)
        began_s = time.perf_counter()
        try:
            answer = await self._sink.send(held.flag)
        finally:
            self._sending.discard(task)
            self._gate.leave(answer)
        metrics.ACTION_SECONDS.labels(self._name).observe(time.perf_counter() - began_s)
        metrics.ACTION_ATTEMPTS.labels(self._name, OUTCOMES[type(answer)]).inc()
        if not isinstance(answer, Delivered):
            log.debug("action.attempt_failed", sink=self._name, flag=held.flag.id, reason=answer.reason)
        return answer

    async def _bury(self, held: Held, cause: Cause, reason: str, answer: Again | Refused | None) -> bool | None:
        """A dead letter, which the broker has when this returns True."""
        if self._stopping:
            return None
        response = None if answer is None else answer.response
        if not await self._letters.publish(held.raw, sink=self._name, cause=cause, reason=reason, response=response):
            return None
        log.debug("action.dead_letter", sink=self._name, flag=held.flag.id, cause=cause, reason=reason)
        self._buried += 1
        self._last_reason = f"{cause}: {reason}"
        return True
