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
        # Records that were appended together share their time.
        moments = {ms: datetime.fromtimestamp(ms / 1000, UTC) for ms in {raw.timestamp_ms for raw in records}}
        return Outcome([_flag(raw, moments[raw.timestamp_ms], at) for raw in records])


def _flag(raw: RawRecord, occurred_at: datetime, at: datetime) -> Flag:
    topic, partition, offset = raw.at
    name = f"{partition}/{offset}"
    fields = BLANK.__dict__.copy()
    fields["id"] = f"{topic}/{name}"
    fields["event"] = _unchecked(EventRef, {"topic": topic, "partition": partition, "offset": offset, "id": name}, _EVENT_FIELDS)
    fields["entity"] = (raw.key or b"-").decode(errors="replace")
    fields["occurred_at"] = occurred_at
    fields["flagged_at"] = at
    return _unchecked(Flag, fields, _FLAG_FIELDS)


def _unchecked(contract: type[B], fields: dict[str, object], given: set[str]) -> B:
    """A `contract` of `fields` that need no check: validating them is what an agent would do, and no part of the stream's cost."""
    new = object.__new__(contract)
    _DICT(new, fields)
    _SET(new, given)
    _EXTRA(new, None)
    _PRIVATE(new, None)
    return new


_FLAG_FIELDS, _EVENT_FIELDS = BLANK.model_fields_set, BLANK.event.model_fields_set
# Frozen models refuse plain assignment; these are the slots that pydantic itself fills.
_DICT, _SET, _EXTRA, _PRIVATE = (
    BaseModel.__dict__[slot].__set__
    for slot in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)
