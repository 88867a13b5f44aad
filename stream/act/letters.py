"""Flags that a sink did not take, as dead letters: whole, with what the sink answered, to be sent again to that sink alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from agents.identity import dead_letter_id
from agents.isolation import dead_letter
from agents.protocol import Outcome
from schemas.codec import RawRecord
from schemas.dead_letter import Response
from stream.delivery import Delivery


class Letters:
    """Publishes them through `delivery`, until `stale()`."""

    def __init__(self, delivery: Delivery, *, stale: Callable[[], bool]) -> None:
        self._delivery = delivery
        self._stale = stale

    async def publish(self, raw: RawRecord, *, sink: str, cause: str, reason: str, response: Response | None) -> bool:
        """Whether the broker has it. An outage is waited out. A flag that is dead-lettered again after a crash repeats its id."""
        letter = dead_letter(raw, error_class=cause, error_text=reason, at=datetime.now(UTC)).model_copy(
            update={"id": dead_letter_id(raw.at, sink=sink), "sink": sink, "response": response}
        )
        return await self._delivery.publish(Outcome(dead_letters=(letter,)), stale=self._stale)
