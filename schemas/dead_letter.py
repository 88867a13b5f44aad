"""A dead letter: a record that could not be read or judged, whole, with the reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Base64Bytes, Field

from schemas.base import Contract, Moment, Name


class DeadLetter(Contract):
    """The original bytes (base64 in JSON) of the record at `topic`/`partition`/`offset`, and what was wrong with it.

    `error_text` never quotes the record. `value` is None for a tombstone."""

    id: Name
    topic: Name
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    key: Base64Bytes | None = None
    value: Base64Bytes | None = None
    error_class: Name
    error_text: str
    attempt: Annotated[int, Field(ge=1)] = 1
    first_seen: Moment
