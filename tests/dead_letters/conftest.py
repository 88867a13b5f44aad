"""A broker with the topics of the table, dead letters to put on it, and what lies in a topic afterwards."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from agents.isolation import dead_letter
from schemas.codec import Position, RawHeaders, RawRecord
from schemas.dead_letter import DeadLetter
from stream.delivery import dead_letter_record
from stream.names import Names
from stream.publisher import Publisher, new_producer
from stream.replay.topic import read_all
from stream.settings import Settings

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


Put = Callable[..., DeadLetter]


@pytest.fixture
def put(settings: Settings) -> Put:
    """Publishes the dead letter of a record, as the worker does."""
    names = Names(settings.prefix)

    def publish(
        offset: int = 0, *, topic: str = "messages", partition: int = 1, key: bytes | None = b"user", value: bytes | None = b"secret text",
        headers: RawHeaders = (), reason: str = "text: Field required", repeat: int = 1, **changed: object,
    ) -> DeadLetter:  # fmt: skip
        raw = RawRecord(Position(names.wire(topic), partition, offset), key, value, 0, headers)
        letter = dead_letter(raw, error_class="Malformed", error_text=reason, at=NOW).model_copy(update=changed)
        asyncio.run(_send(settings, [letter] * repeat))
        return letter

    return publish


async def _send(settings: Settings, letters: list[DeadLetter]) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        await Publisher(producer).send(dead_letter_record(letter, Names(settings.prefix).wire("dead-letters")) for letter in letters)
    finally:
        await producer.stop()


Lying = Callable[[str], list[RawRecord]]


@pytest.fixture
def lying(settings: Settings) -> Lying:
    """All records of a topic of the table."""

    def read(topic: str) -> list[RawRecord]:
        with contextlib.closing(read_all(settings, Names(settings.prefix).wire(topic))) as batches:  # type: ignore[type-var]  # a generator
            return [raw for records in batches for raw in records]

    return read
