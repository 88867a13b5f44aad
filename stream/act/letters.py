"""Flags that a sink did not take, as dead letters: whole, with what the sink answered, to be sent again to that sink alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from agents.identity import dead_letter_id
from agents.isolation import dead_letter
from agents.protocol import Outcome
from schemas.codec import RawRecord
from schemas.dead_letter import DeadLetter, Response
from stream.delivery import Delivery

TOGETHER = 64
"""Letters published at once. When an endpoint is given up they come by the hundred, and must not keep the others waiting."""


class Letters:
    """Publishes them through `delivery`, until `stale()`."""

    def __init__(self, delivery: Delivery, *, stale: Callable[[], bool]) -> None:
        self._delivery = delivery
        self._stale = stale
        self._pending: deque[tuple[DeadLetter, asyncio.Future[bool]]] = deque()
        self._publishing: asyncio.Task[None] | None = None

    async def publish(self, raw: RawRecord, *, sink: str, cause: str, reason: str, response: Response | None) -> bool:
        """Whether the broker has it. An outage is waited out. A flag that is dead-lettered again after a crash repeats its id."""
        letter = dead_letter(raw, error_class=cause, error_text=reason, at=datetime.now(UTC)).model_copy(
            update={"id": dead_letter_id(raw.at, sink=sink), "sink": sink, "response": response}
        )
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((letter, taken))
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish())
        return await taken

    async def _publish(self) -> None:
        while self._pending:
            many = [self._pending.popleft() for _ in range(min(TOGETHER, len(self._pending)))]
            try:
                there = await self._delivery.publish(Outcome(dead_letters=tuple(letter for letter, _ in many)), stale=self._stale)
            except BaseException as error:
                for _, taken in [*many, *self._pending]:
                    if not taken.done():
                        taken.set_exception(error)
                self._pending.clear()
                raise
            for _, taken in many:
                # Whoever was told to stop does not wait any more.
                if not taken.done():
                    taken.set_result(there)
