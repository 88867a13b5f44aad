"""A dead letter as people are shown it: everything about it except what it holds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, get_args

from schemas.codec import Position
from schemas.dead_letter import DeadLetter, Retried
from stream.names import Names

State = Literal["open", "retried", "unclear"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter that lies at `at` in the topic of dead letters, without key, value and headers. `topic` is its record's, by its name
    on the wire; sizes are in bytes, None where there is nothing. With a `sink` its record is a flag that this sink of the actions service
    did not take; `status` is what it answered last."""

    at: Position
    id: str
    topic: str
    partition: int
    offset: int
    error_class: str
    error_text: str
    attempt: int
    first_seen: datetime
    key_bytes: int | None
    value_bytes: int | None
    headers: int
    sink: str | None
    status: int | None
    retried: Retried | None

    @classmethod
    def of(cls, body: DeadLetter, at: Position) -> Self:
        """What may be shown of `body`."""
        return cls(
            at=at, id=body.id, topic=body.topic, partition=body.partition, offset=body.offset,
            error_class=body.error_class, error_text=body.error_text, attempt=body.attempt, first_seen=body.first_seen,
            key_bytes=None if body.key is None else len(body.key), value_bytes=None if body.value is None else len(body.value),
            headers=len(body.headers), sink=body.sink, status=None if body.response is None else body.response.status, retried=body.retried,
        )  # fmt: skip

    @property
    def state(self) -> State:
        """`unclear`: it was about to be sent again, and whoever did it never said that it was."""
        if self.retried is None:
            return "open"
        return "unclear" if self.retried.offset is None else "retried"

    @property
    def place(self) -> str:
        """Where its record lay."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def to_json(self) -> dict[str, Any]:
        """The letter as JSON values."""
        return {
            "id": self.id, "state": self.state, "topic": self.topic, "partition": self.partition, "offset": self.offset,
            "error_class": self.error_class, "error_text": self.error_text, "attempt": self.attempt,
            "first_seen": self.first_seen.isoformat(), "key_bytes": self.key_bytes, "value_bytes": self.value_bytes,
            "headers": self.headers, "sink": self.sink, "status": self.status, "retried": None if self.retried is None else self.retried.model_dump(mode="json"),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters: all conditions must hold. `reasons` are words of the error, in any case; `topics` names of the table or on the
    wire; `sinks` names of sinks of the actions service; `ids` beginnings of ids."""

    reasons: Collection[str] = ()
    topics: Collection[str] = ()
    sinks: Collection[str] = ()
    ids: Collection[str] = ()

    def accepts(self, letter: Letter, names: Names) -> bool:
        """Whether `letter` is wanted."""
        error = f"{letter.error_class}: {letter.error_text}".casefold()
        return (
            (not self.reasons or any(reason.casefold() in error for reason in self.reasons))
            and (not self.topics or letter.topic in self.topics or names.table(letter.topic) in self.topics)
            and (not self.sinks or letter.sink in self.sinks)
            and (not self.ids or any(letter.id.startswith(start) for start in self.ids))
        )
