"""A fault of one record must not take its batch along: what fails together is tried one by one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from agents.identity import dead_letter_id
from schemas.codec import RawRecord
from schemas.dead_letter import DeadLetter, Header, retries_of

Item = TypeVar("Item")
Result = TypeVar("Result")


def isolate(work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]) -> list[Result | Exception]:
    """`work(items)`, one result an item; where it raises, each item alone, with the exception in place of its result."""
    if not items:
        return []
    try:
        return list(work(items))
    except Exception as error:  # noqa: BLE001 (whatever the model raises, the stream goes on)
        if len(items) == 1:
            return [error]
    return [isolate(work, [item])[0] for item in items]


def dead_letter(raw: RawRecord, *, error_class: str, error_text: str, at: datetime) -> DeadLetter:
    """`raw` whole, with what was wrong with it."""
    headers = tuple(Header(name=name, value=_base64(value)) for name, value in raw.headers)
    return DeadLetter(
        id=dead_letter_id(raw.at),
        topic=raw.at.topic,
        partition=raw.at.partition,
        offset=raw.at.offset,
        key=_base64(raw.key),
        value=_base64(raw.value),
        headers=headers,
        error_class=error_class,
        error_text=error_text,
        attempt=1 + retries_of(raw.headers),
        first_seen=at,
    )


def _base64(raw: bytes | None) -> bytes | None:
    # Pydantic's Base64Bytes decodes on validation, so the constructor wants the encoded form.
    return None if raw is None else base64.b64encode(raw)
