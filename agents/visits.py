"""What goes from the agents of transactions and verdicts to the one that keeps terminals: three records in binary form.

```
visit    1 u8 · source partition u16 · clock_ms i64 · appended_ms i64 · occurred_us i64 · at_ms i64 · amount u64 · currency u16 · odd u16
         offset i64 · lengths of topic, id, entity, tenant u16 each · size of the card's half of the row u16 · those strings · f64 each
mark     2 u8 · channel u8 · partition u16 · clock_ms i64 · complete_ms i64
ruling   3 u8 · id u64 · known_ms i64 · fraud u8
```
A visit is keyed by terminal; marks and rulings go to every partition. They never leave the workers of one version: while
another is rolled out, what it cannot read becomes a dead letter, to be sent again when all are of that version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct, error
from typing import NamedTuple

from models.entry import Entry, key64
from schemas.codec import Position, RawRecord, Record
from schemas.transaction import Transaction

TOPIC = "terminal-visits"
TRANSACTIONS, VERDICTS = 0, 1
"""Channels: the kinds of input whose progress is marked."""
UNKNOWN = -1
_VISIT = Struct("<BHqqqqQHHqHHHHH")
_MARK = Struct("<BBHqq")
_RULING = Struct("<BQqB")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Visit(NamedTuple):
    """A transaction on its way to its terminal, with the half of its features that is known of its card.

    `clock_ms` is the greatest event time of its partition up to it, from which on it counts; `appended_ms` the time of its record."""

    at: Position
    clock_ms: int
    appended_ms: int
    occurred_at: datetime
    id: str
    entity: str
    tenant: str | None
    entry: Entry
    odd: int
    card: Sequence[float]

    def record(self) -> Record[Transaction]:
        """As much of the transaction's record as a flag tells of it."""
        body = Transaction.model_construct(
            id=self.id, occurred_at=self.occurred_at, account_id=self.entity, amount_minor=self.entry.amount_minor, tenant=self.tenant
        )
        return Record(RawRecord(self.at, None, None, self.appended_ms), body)


class Mark(NamedTuple):
    """How far a partition of an input is: everything that it causes of event times before `clock_ms`, or of records
    appended before `complete_ms`, lies before the mark."""

    channel: int
    partition: int
    clock_ms: int = UNKNOWN
    complete_ms: int = UNKNOWN


class Ruling(NamedTuple):
    """A verdict on the transaction of the entry id `tx`, known since `known_ms`."""

    tx: int
    known_ms: int
    fraud: bool


def pack_visit(visit: Visit) -> bytes:
    """`visit` in binary form."""
    at, entry, row = visit.at, visit.entry, visit.card
    strings = [text.encode("utf-8", "surrogatepass") for text in (at.topic, visit.id, visit.entity, visit.tenant or "")]
    head = _VISIT.pack(
        1, at.partition, visit.clock_ms, visit.appended_ms, (visit.occurred_at - _EPOCH) // _MICROSECOND, entry.at_ms,
        entry.amount_minor, entry.currency, visit.odd, at.offset, *map(len, strings), len(row),
    )
    return b"".join((head, *strings, _numbers(len(row)).pack(*row)))


def pack_mark(mark: Mark) -> bytes:
    """`mark` in binary form."""
    return _MARK.pack(2, *mark)


def pack_ruling(ruling: Ruling) -> bytes:
    """`ruling` in binary form."""
    return _RULING.pack(3, *ruling)


def read(raw: bytes | None) -> Visit | Mark | Ruling | None:
    """The record that was packed; None for anything else."""
    try:
        if not raw:
            return None
        if raw[0] == 1:
            return _visit(raw)
        if raw[0] == 2:
            _, channel, partition, clock_ms, complete_ms = _MARK.unpack(raw)
            return Mark(channel, partition, clock_ms, complete_ms)
        if raw[0] == 3:
            _, tx, known_ms, fraud = _RULING.unpack(raw)
            return Ruling(tx, known_ms, bool(fraud))
    except (error, UnicodeDecodeError, OverflowError):
        pass
    return None


@lru_cache(maxsize=256)
def _numbers(count: int) -> Struct:
    return Struct(f"<{count}d")


def _visit(raw: bytes) -> Visit:
    _, partition, clock_ms, appended_ms, occurred_us, at_ms, amount, currency, odd, offset, *sizes, count = _VISIT.unpack_from(raw)
    texts, start = [], _VISIT.size
    for size in sizes:
        texts.append(raw[start : start + size].decode("utf-8", "surrogatepass"))
        start += size
    row = _numbers(count).unpack(raw[start:])
    topic, event_id, entity, tenant = texts
    return Visit(
        Position(topic, partition, offset), clock_ms, appended_ms, _EPOCH + occurred_us * _MICROSECOND, event_id, entity, tenant or None,
        Entry(at_ms, key64(event_id), amount, currency), odd, row,
    )
