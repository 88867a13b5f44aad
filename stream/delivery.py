"""Outcomes to records, and their delivery through outages: it is retried until the broker has it, or the batch is stale."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache

import structlog
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from agents.protocol import Onward, Outcome
from schemas.codec import encode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from stream.names import Names
from stream.publisher import Placed, Publisher
from stream.record_batch import Headers, Outgoing, outgoing

log = structlog.get_logger(__name__)

FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 5.0
SOURCE = "/flagstream"


def cloud_event(*, event_id: str, event_type: str, at: datetime) -> Headers:
    """CloudEvents 1.0 attributes in Kafka's binary mode."""
    return [_VERSION, ("ce_id", event_id.encode()), _SOURCE, _type(event_type), _time(at), _JSON]


_VERSION, _SOURCE, _JSON = ("ce_specversion", b"1.0"), ("ce_source", SOURCE.encode()), ("content-type", b"application/json")


@lru_cache(maxsize=16)
def _type(event_type: str) -> tuple[str, bytes]:
    return "ce_type", event_type.encode()


def _time(at: datetime) -> tuple[str, bytes]:
    return "ce_time", at.astimezone(UTC).isoformat().encode()


def flag_records(flags: Iterable[Flag], topic: str, timing: Callable[[Flag], bytes]) -> list[Outgoing]:
    """Flags keyed by the entity they are about, so that one consumer sees all of an entity's flags in order; `timing` gives
    what ends a flag's JSON with its timing, where the flag itself has none."""
    records = []
    kind, at, when = _type("flagstream.flag.v1"), None, ("ce_time", b"")
    for flag in flags:
        # All flags of a batch carry the same moment.
        if flag.flagged_at is not at:
            at = flag.flagged_at
            when = _time(at)
        value, timed = encode(flag), timing(flag)
        if timed:
            value = value[:-1] + timed
        headers = [_VERSION, ("ce_id", flag.id.encode()), _SOURCE, kind, when, _JSON]
        records.append(outgoing((topic, flag.entity.encode(), value, headers, None)))
    return records


def dead_letter_record(letter: DeadLetter, topic: str) -> Outgoing:
    """A dead letter keyed as its record was."""
    headers = cloud_event(event_id=letter.id, event_type="flagstream.dead_letter.v1", at=letter.first_seen)
    return Outgoing(topic, letter.key, encode(letter), headers)


def without_value(letter: DeadLetter) -> DeadLetter:
    """The letter of a record too large to be copied: its digest and position remain, neither its value nor its headers."""
    value = letter.value or b""
    note = f"{letter.error_text}; value of {len(value)} bytes left out, SHA-256 {hashlib.sha256(value).hexdigest()}"
    return letter.model_copy(update={"value": None, "headers": (), "error_text": note})


def untimed(_: Flag) -> bytes:
    """No timing: that of a flag which nobody waited for."""
    return b""


class Delivery:
    """Publishes outcomes."""

    def __init__(self, publisher: Publisher, names: Names) -> None:
        self._publisher = publisher
        self._names = names
        self._flags = names.wire("flags")
        self._dead_letters = names.wire("dead-letters")

    def prepare(self, outcome: Outcome, timing: Callable[[Flag], bytes] = untimed) -> list[Outgoing]:
        """The records of what `outcome` publishes: flags, what goes onward, then dead letters. Needs no event loop."""
        records = flag_records(outcome.flags, self._flags, timing)
        records += self._onward(outcome.onward)
        records += [dead_letter_record(letter, self._dead_letters) for letter in outcome.dead_letters]
        return records

    async def publish(self, outcome: Outcome, *, records: list[Outgoing] | None = None, stale: Callable[[], bool]) -> bool:
        """Deliver what `outcome` publishes (`records`, where they are prepared already), retrying through any outage of the
        broker, and when all of it is there what closes it. False when the batch became stale before: it will be caused again."""
        prepared = self.prepare(outcome) if records is None else records
        if prepared and not await self._deliver(outcome, prepared, stale):
            return False
        return not outcome.closing or await self.persist(self._onward(outcome.closing), stale=stale) is not None

    async def _deliver(self, outcome: Outcome, prepared: list[Outgoing], stale: Callable[[], bool]) -> bool:
        try:
            placed = await self.persist(prepared, stale=stale)
        except MessageSizeTooLargeError:
            log.warning("dead_letter.too_large", count=len(outcome.dead_letters))
            small = [dead_letter_record(without_value(letter), self._dead_letters) for letter in outcome.dead_letters]
            placed = await self.persist([*prepared[: len(outcome.flags) + len(outcome.onward)], *small], stale=stale)
        return placed is not None

    def _onward(self, many: Sequence[Onward]) -> list[Outgoing]:
        return [Outgoing(self._names.wire(one.topic), one.key, one.value, partition=one.partition) for one in many]

    async def persist(self, records: list[Outgoing], *, stale: Callable[[], bool]) -> list[Placed] | None:
        """Send `records` until the broker acknowledges all; None when `stale()` turned true before. Raises only
        `MessageSizeTooLargeError`, which no repetition can cure."""
        for pause_s in _backoff():
            if stale():
                return None
            try:
                return await self._publisher.send(records)
            except MessageSizeTooLargeError:
                raise
            except KafkaError as error:
                log.warning("publish.retry", error=type(error).__name__, records=len(records), pause_s=round(pause_s, 2))
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable")


def _backoff() -> Iterator[float]:
    """Pauses in seconds without end, doubling to `MAX_BACKOFF_S`, with full jitter (Brooker 2015) above half."""
    pause = FIRST_BACKOFF_S
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, MAX_BACKOFF_S)
