"""Record batches: what comes out of them is what went in, for every reader of the format."""

from __future__ import annotations

from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st
from kafka.record import MemoryRecords as OtherMemoryRecords

from stream.embedded.batch import check
from stream.record_batch import LZ4, Outgoing, RecordBatch

NOW_MS = 1_800_000_000_000
LZ4_INDEPENDENT_BLOCKS = 0x20

texts = st.binary(max_size=300)
outgoing = st.builds(
    lambda key, value, headers: Outgoing("flags", key, value, headers),
    st.none() | texts,
    st.none() | texts,
    st.lists(st.tuples(st.text(max_size=8), texts), max_size=3),
)


def built(records: list[Outgoing], *, max_bytes: int = 4_000) -> list[bytes]:
    found, done = [], 0
    while done < len(records):
        batch = RecordBatch(max_bytes)
        before, done = done, batch.extend(records, start=done, timestamp_ms=NOW_MS)
        assert batch.record_count() == done - before > 0
        found.append(bytes(batch._build()))
        assert batch._build() == found[-1], "the producer asks for the bytes again when it repeats a request"
    return found


@given(st.lists(outgoing, min_size=1, max_size=60))
def test_every_reader_gets_back_what_was_appended(records: list[Outgoing]) -> None:
    batches = built(records)
    for reader in (MemoryRecords, OtherMemoryRecords):
        read = []
        for raw in batches:
            memory = reader(raw)
            batch = memory.next_batch()
            assert batch is not None
            assert batch.validate_crc()
            found = list(batch)
            assert [one.offset for one in found] == list(range(len(found)))
            read += [(one.key, one.value, list(one.headers), one.timestamp) for one in found]
        assert read == [(one.key, one.value, one.headers, NOW_MS) for one in records]
    for raw in batches:
        assert check(raw).attributes == LZ4


def test_a_record_larger_than_a_batch_goes_alone() -> None:
    large = Outgoing("flags", b"k", b"x" * 10_000)
    small = Outgoing("flags", b"k", b"y" * 10)
    assert [check(raw).records for raw in built([small, large, small, small])] == [1, 1, 2]


def test_blocks_are_independent_as_brokers_demand() -> None:
    (raw,) = built([Outgoing("flags", b"k", b"v" * 3_000)])
    frame = raw[61:]
    assert frame[:4] == b"\x04\x22\x4d\x18"
    assert frame[4] & LZ4_INDEPENDENT_BLOCKS
