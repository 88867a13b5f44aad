"""A dead letter: a record that could not be read or judged, whole, with the reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Base64Bytes, Field

from schemas.base import Contract, Moment, Name, Part
from schemas.codec import RawHeaders

RETRY_HEADER = "flagstream-retry"
"""Kafka header of a record that was sent again: how often, in decimal digits."""
LETTER_HEADER = "flagstream-letter"
"""Kafka header of a record that was sent again: the id of the dead letter that it comes from."""
SINK_HEADER = "flagstream-sink"
"""Kafka header of a flag on `action-retries`: the only sink of the actions service that is to have it again."""
MAX_ATTEMPT = 1_000_000
"""A header comes from outside: beyond this it counts as this."""


class Header(Part):
    """A Kafka header of the record; names may repeat."""

    name: str
    value: Base64Bytes | None = None


class Retried(Part):
    """The letter's record was sent again, at `at`. Without a `partition` and `offset` it was about to be: whether it was, the topic
    tells."""

    at: Moment
    topic: Name
    partition: Annotated[int, Field(ge=0)] | None = None
    offset: Annotated[int, Field(ge=0)] | None = None


class Response(Part):
    """What an endpoint answered: its HTTP status (or a command's exit status) and the beginning of what it said."""

    status: int | None = None
    body: str = ""


class DeadLetter(Contract):
    """The original bytes (base64 in JSON) of the record at `topic`/`partition`/`offset`, and what was wrong with it.

    `error_text` never quotes the record. `value` is None for a tombstone. `attempt` counts the times that the record was tried, over
    all its retries. With `sink` it is a flag that this sink of the actions service did not take, and `response` is the last answer;
    it is sent again on `action-retries`, so that no other consumer sees it twice. A later record of the same `id` with `retried` says
    what became of the letter, without repeating its bytes."""

    id: Name
    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    key: Base64Bytes | None = None
    value: Base64Bytes | None = None
    headers: tuple[Header, ...] = ()
    error_class: Name
    error_text: str
    sink: Name | None = None
    response: Response | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    first_seen: Moment
    retried: Retried | None = None


def retries_of(headers: RawHeaders) -> int:
    """How often the record with these Kafka headers was sent again; 0 where the header is missing or makes no sense."""
    for name, value in headers:
        if name == RETRY_HEADER and value is not None and value.isdigit():
            return min(int(value[:9]), MAX_ATTEMPT)
    return 0
