"""A flag: what Flagstream says of an event, for others to act on. It carries no text of the event."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema
from pydantic_core.core_schema import simple_ser_schema

from schemas.base import Contract, Moment, Name, Part
from schemas.labels import Kind, Severity

Decision = Literal["allow", "review", "block"]
DECISIONS: tuple[Decision, ...] = ("allow", "review", "block")
RiskLevel = Literal["normal", "elevated", "highest", "not_assessed"]
Mode = Literal["live", "shadow", "replay"]
Word = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64)]
OPEN = Field(union_mode="left_to_right")
"""Of a word of ours that a later version may add to: what this one does not know is read as the plain word that it is."""
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Field(ge=0.0)]


class _Text:
    """Is written as the string that it is: pydantic would try each side of a union first."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 (pydantic's)
        return cast("CoreSchema", {**handler(source), "serialization": simple_ser_schema("str")})


class EventRef(Part):
    """Where the judged event lies, and its own id."""

    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    id: Name


class LabelScore(Part):
    """A label whose calibrated probability `score` reached `threshold`."""

    name: Name
    score: Probability
    threshold: Probability
    severity: Annotated[Severity | Word, OPEN, _Text]


class Reason(Part):
    """Why, for people: a stable `code` and plain words. `span` is the part of the message's text that drove it, as sent: a
    [start, end) range in characters (Unicode code points, neither bytes nor UTF-16 units); left out where no part alone did."""

    code: Name
    text: str
    span: tuple[int, int] | None = None


class Provenance(Part):
    """Digests (hex SHA-256, shortened) of everything that shaped the decision."""

    model: Name
    policy: Name
    tokenizer: Name | None = None
    normaliser: Name | None = None


class Timing(Part):
    """Milliseconds: waiting since the event was appended, inside the agent, and from append to publication."""

    queue_ms: Milliseconds
    score_ms: Milliseconds
    total_ms: Milliseconds


class Flag(Contract):
    """A decision on one event. `id` is a function of the event, the labels, the model and the policy, so a repeated
    delivery repeats the id. `flagged_at` and `timing` are the only fields that depend on the clock.

    A flag of a later version may say a word that this one does not know as its kind, decision, mode, risk level or a severity."""

    id: Name
    kind: Annotated[Kind | Word, OPEN, _Text]
    event: EventRef
    entity: Name
    occurred_at: Moment
    flagged_at: Moment
    labels: tuple[LabelScore, ...]
    decision: Annotated[Decision | Word, OPEN, _Text]
    reasons: tuple[Reason, ...] = ()
    tier: Name
    provenance: Provenance
    mode: Annotated[Mode | Word, OPEN, _Text] = "live"
    risk_score: Annotated[int, Field(ge=0, le=100)] | None = None
    risk_level: Annotated[RiskLevel | Word, OPEN, _Text] | None = None
    not_assessed: tuple[Name, ...] | None = None
    """Inputs that the model could have used and that were not known, such as `terminal`."""
    timing: Timing | None = None
    tenant: Name | None = None
