"""How far state was applied survives storing, and orders the values of a key as they were written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.applied import HEADER_BYTES, NOTHING, Applied, applied, pack
from schemas.codec import Position, RawRecord

offsets = st.integers(0, 2**62)


def _raw(offset: int, timestamp_ms: int) -> RawRecord:
    return RawRecord(Position("t", 0, offset), None, b"", timestamp_ms)


@given(offsets, offsets, st.binary(max_size=20))
def test_a_header_is_read_back(timestamp_ms: int, offset: int, value: bytes) -> None:
    header = Applied(timestamp_ms, offset)
    stored = pack(header, value)
    assert (applied(stored), stored[HEADER_BYTES:]) == (header, value)


@given(st.binary(max_size=HEADER_BYTES - 1))
def test_bytes_too_short_for_a_header_mean_nothing_was_applied(raw: bytes) -> None:
    assert applied(raw) == NOTHING


@given(st.lists(st.integers(0, 1_000), min_size=1))
def test_each_record_makes_the_header_later_and_is_covered_from_then_on(times: list[int]) -> None:
    header = NOTHING
    for offset, timestamp_ms in enumerate(times):
        raw = _raw(offset, timestamp_ms)
        assert not header.covers(raw)
        later = header.after(raw)
        assert later > header
        assert all(later.covers(_raw(earlier, times[earlier])) for earlier in range(offset + 1))
        header = later


def test_records_of_a_topic_made_anew_are_not_taken_for_old_ones() -> None:
    header = Applied(1_000, 500)
    assert not header.covers(_raw(0, 2_000))
