"""A broker with the topics of the table, flags to say something of, and the verdicts that lie there afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schemas.codec import Record, decode, encode
from schemas.flag import Flag
from schemas.verdict import Verdict
from stream.names import Names
from stream.publisher import Publisher, new_producer
from stream.record_batch import Outgoing
from stream.replay.topic import read_all
from stream.settings import Settings

Put = Callable[..., None]


@pytest.fixture
def put(settings: Settings) -> Put:
    """Publishes flags as the worker does, and raw values by the topic of the table."""
    names = Names(settings.prefix)

    def publish(*records: Flag | tuple[str, bytes, bytes]) -> None:
        outgoing = [
            Outgoing(names.wire("flags"), one.entity.encode(), encode(one)) if isinstance(one, Flag) else Outgoing(names.wire(one[0]), one[1], one[2]) for one in records
        ]
        asyncio.run(_send(settings, outgoing))

    return publish


async def _send(settings: Settings, outgoing: list[Outgoing]) -> None:
    producer = new_producer(settings)
    await producer.start()
    try:
        await Publisher(producer).send(outgoing)
    finally:
        await producer.stop()


@pytest.fixture
def said(settings: Settings) -> Callable[[], list[Verdict]]:
    """All verdicts that were published, in order for each event."""

    def read() -> list[Verdict]:
        raws = [raw for records in read_all(settings, Names(settings.prefix).wire("verdicts")) for raw in records]
        found = [decode(Verdict, raw) for raw in raws]
        assert all(raw.key == one.body.event_id.encode() for raw, one in zip(raws, found, strict=True) if isinstance(one, Record))
        return [one.body for one in found if isinstance(one, Record)]

    return read
