"""The passthrough agent: a flag for every event, without reading it and without a model. What is left is the stream's own cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import BaseModel

from agents.protocol import Outcome
from schemas.codec import RawRecord
from schemas.flag import EventRef, Flag, LabelScore, Provenance
from schemas.labels import Kind

B = TypeVar("B", bound=BaseModel)

BLANK = Flag(
    id="-", kind="message", event=EventRef(topic="messages", partition=0, offset=0, id="-"), entity="-",
    occurred_at=datetime(2026, 1, 1, tzinfo=UTC), flagged_at=datetime(2026, 1, 1, tzinfo=UTC),
    labels=(LabelScore(name="spam", score=1.0, threshold=0.0, severity="info"),), decision="allow", tier="passthrough",
    provenance=Provenance(model="passthrough", policy="passthrough"),
)
"""What all flags of this agent share."""


class PassthroughAgent:
    """Flags each record by its position, which is also the flag's id."""

    kind: Final[Kind] = "message"
    topic: Final = "messages"

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """A flag for each of `records`."""
        return Outcome([self._flag(raw, at) for raw in records])

    def _flag(self, raw: RawRecord, at: datetime) -> Flag:
        topic, partition, offset = raw.at
        name = f"{partition}/{offset}"
        return _like(
            BLANK,
            id=f"{topic}/{name}",
            event=_like(BLANK.event, topic=topic, partition=partition, offset=offset, id=name),
            entity=(raw.key or b"-").decode(errors="replace"),
            occurred_at=datetime.fromtimestamp(raw.timestamp_ms / 1000, UTC),
            flagged_at=at,
        )


def _like(checked: B, **changed: object) -> B:
    """`checked` with other values that need no check: validating them again is what an agent would do, and no part of the
    stream's cost."""
    new = object.__new__(type(checked))
    new.__dict__.update(checked.__dict__, **changed)
    _SET(new, checked.__pydantic_fields_set__)
    _EXTRA(new, None)
    _PRIVATE(new, None)
    return new


# Frozen models refuse plain assignment; these are the slots that pydantic itself fills.
_SET, _EXTRA, _PRIVATE = (
    BaseModel.__dict__[slot].__set__ for slot in ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
