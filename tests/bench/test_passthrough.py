"""The passthrough agent: real flags, which differ from validated ones in nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.codec import Position, RawRecord, encode
from schemas.flag import Flag
from stream.bench.passthrough import PassthroughAgent

AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_each_record_has_a_flag_that_a_reader_accepts_unchanged() -> None:
    raws = [RawRecord(Position("messages", partition, offset), b"u1", b"\xff", 1_700_000_000_123) for partition in (0, 1) for offset in range(3)]
    raws.append(RawRecord(Position("messages", 2, 0), b"", b"", 0))
    flags = PassthroughAgent().handle(raws, at=AT).flags
    assert [Flag.model_validate_json(encode(flag)) for flag in flags] == list(flags)
    assert len({flag.id for flag in flags}) == len(raws)
    assert [(flag.event.partition, flag.event.offset) for flag in flags] == [(raw.at.partition, raw.at.offset) for raw in raws]


def test_a_repeated_delivery_repeats_the_id() -> None:
    raw = RawRecord(Position("messages", 0, 7), None, None, 0)
    first, again = (PassthroughAgent().handle([raw], at=at).flags[0] for at in (AT, datetime(2027, 1, 1, tzinfo=UTC)))
    assert first.id == again.id
