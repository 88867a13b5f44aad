"""What somebody says of a flag, as verdicts: one for each label that it is about."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Self, get_args

from pydantic import ValidationError

from agents.identity import verdict_id
from schemas.codec import describe, encode
from schemas.flag import Flag
from schemas.labels import BY_NAME
from schemas.verdict import Verdict, VerdictOutcome
from stream.delivery import cloud_event
from stream.errors import UsageError
from stream.record_batch import Outgoing

OUTCOMES: tuple[VerdictOutcome, ...] = get_args(VerdictOutcome)
POSITIVE = frozenset({"confirmed", "fraud"})
OF_FRAUD = frozenset({"fraud", "legitimate"})
CLOCK_SKEW = timedelta(days=1)
"""How far a verdict may lie ahead: the latest counts, so one from the far future would count for ever."""


class Subject(NamedTuple):
    """What a verdict is about: an event, the flag on it if one is meant, and the labels that the flag carries."""

    event_id: str
    flag_id: str | None
    labels: tuple[str, ...]

    @classmethod
    def of(cls, flag: Flag) -> Self:
        """The subject that `flag` is about."""
        return cls(flag.event.id, flag.id, tuple(label.name for label in flag.labels))


def verdicts_on(
    subject: Subject,
    outcome: str,
    *,
    source: str,
    labels: Collection[str] = (),
    at: datetime | None = None,
    id: str | None = None,  # noqa: A002 (the field's name everywhere)
    supersedes: str | None = None,
) -> tuple[Verdict, ...]:
    """The verdicts that say `outcome` of `subject`: on `labels`, else on its only label, else, where everything was wrong
    (`overturned`, `legitimate`), on all of them. `at` is when it was known, now if not given; `id` makes a repetition the same
    verdict, and may be given where there is one. Raises `UsageError`."""
    if outcome not in OUTCOMES:
        raise UsageError(f"outcome {outcome!r}: one of {', '.join(OUTCOMES)}")
    meant = tuple(dict.fromkeys(labels)) or subject.labels
    if not meant:
        raise UsageError("which label? The event's flag is not known, so name it")
    if not labels and len(meant) > 1 and outcome in POSITIVE:
        raise UsageError(f"{outcome} for which label? The flag has {', '.join(meant)}")
    for label in meant:
        if label not in subject.labels and label not in BY_NAME:
            raise UsageError(f"unknown label {label!r}; the flag has {', '.join(subject.labels) or 'none'}, known are {', '.join(BY_NAME)}")
        if outcome in OF_FRAUD and label != "fraud":
            raise UsageError(f"{outcome} is said of label fraud; of {label} say confirmed or overturned")
    if id is not None and len(meant) > 1:
        raise UsageError(f"one id for verdicts on {len(meant)} labels: name one label")
    now = datetime.now(UTC)
    known = (at.replace(tzinfo=UTC) if at.tzinfo is None else at) if at is not None else now
    if known > now + CLOCK_SKEW:
        raise UsageError("occurred_at lies more than a day ahead")
    found = []
    for label in meant:
        own = id or verdict_id(event_id=subject.event_id, flag_id=subject.flag_id, label=label, outcome=outcome, source=source, at=known)
        try:
            found.append(Verdict.model_validate({
                "id": own, "event_id": subject.event_id, "flag_id": subject.flag_id, "label": label, "outcome": outcome, "source": source,
                "occurred_at": known, "supersedes": supersedes,
            }))  # fmt: skip
        except ValidationError as error:
            raise UsageError(describe(error)) from error
    return tuple(found)


def verdict_record(verdict: Verdict, topic: str) -> Outgoing:
    """A verdict keyed by its event, so that those on one event stay in order."""
    headers = cloud_event(event_id=verdict.id, event_type="flagstream.verdict.v1", at=verdict.occurred_at)
    return Outgoing(topic, verdict.event_id.encode(), encode(verdict), headers)
