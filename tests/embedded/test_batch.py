"""The hand-written side of the record format agrees with kafka-python's reader and writer."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from stream.embedded import ErrorCode, batch
from stream.embedded.errors import RefusedError

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def kafka_python_batch(entries: list[tuple[int, bytes | None, bytes | None]], codec: int = 0) -> bytes:
    builder = MemoryRecordsBuilder(magic=2, compression_type=codec, batch_size=1 << 20)
    for at_ms, key, value in entries:
        builder.append(timestamp=at_ms, key=key, value=value, headers=[("h", b"v")])
    builder.close()
    return bytes(builder.buffer())


def read_by_kafka_python(encoded: bytes) -> list[tuple[int, int, bytes | None, bytes | None]]:
    found: list[tuple[int, int, bytes | None, bytes | None]] = []
    records: Any = MemoryRecords(encoded)
    while records.has_next():
        each = records.next_batch()
        assert each.validate_crc()
        found += [(record.offset, record.timestamp, record.key, record.value) for record in each]
    return found


entries = st.lists(
    st.tuples(st.integers(0, 2**40), st.none() | st.binary(max_size=80), st.none() | st.binary(max_size=300)), min_size=1, max_size=40
)


@settings(deadline=None)
@given(entries, st.sampled_from(sorted(CODECS.values())))
def test_records_are_read_as_kafka_python_wrote_them(written: list[tuple[int, bytes | None, bytes | None]], codec: int) -> None:
    encoded = kafka_python_batch(written, codec)
    header = batch.check(encoded)
    assert header.records == len(written)
    got = [(record.timestamp, record.key, record.value) for record in batch.records(encoded)]
    assert got == written
    assert [record.offset for record in batch.records(encoded)] == list(range(len(written)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=40), st.none() | st.binary(max_size=200)), min_size=1, max_size=40))
def test_built_batches_are_read_by_kafka_python(pairs: list[tuple[bytes, bytes | None]]) -> None:
    built = batch.build(pairs, at_ms=1234)
    assert read_by_kafka_python(built) == [(i, 1234, key, value) for i, (key, value) in enumerate(pairs)]


@settings(deadline=None)
@given(entries, st.sampled_from(sorted(CODECS.values())), st.data())
def test_a_batch_thinned_out_keeps_the_rest_as_it_was(
    written: list[tuple[int, bytes | None, bytes | None]], codec: int, data: st.DataObject
) -> None:
    encoded = bytearray(kafka_python_batch(written, codec))
    batch.number(encoded, 700)
    found = list(batch.records(bytes(encoded)))
    kept = data.draw(st.lists(st.sampled_from(found), min_size=1, unique=True).map(sorted))
    thinned = batch.keep(bytes(encoded), kept)
    assert read_by_kafka_python(thinned) == [(each.offset, each.timestamp, each.key, each.value) for each in kept]
    assert batch.header_at(thinned).last_offset == batch.header_at(encoded).last_offset


def test_a_batch_timed_by_the_log_says_so_to_kafka_python() -> None:
    encoded = bytearray(kafka_python_batch([(5, b"k", b"v"), (6, b"k", b"v")]))
    batch.stamp_append_time(encoded, batch.header_at(encoded), 777)
    assert [at_ms for _, at_ms, _, _ in read_by_kafka_python(bytes(encoded))] == [777, 777]
    assert [record.timestamp for record in batch.records(bytes(encoded))] == [777, 777]


def refusal_of(produced: bytes) -> ErrorCode:
    with pytest.raises(RefusedError) as refused:
        batch.check(produced)
    return refused.value.code


def test_what_is_no_single_valid_batch_is_refused_with_its_own_error() -> None:
    good = kafka_python_batch([(1, b"k", b"v"), (2, b"k", b"w")])
    assert refusal_of(good[:-1]) is ErrorCode.CORRUPT_MESSAGE
    assert refusal_of(good[:40]) is ErrorCode.CORRUPT_MESSAGE
    assert refusal_of(b"") is ErrorCode.CORRUPT_MESSAGE
    assert refusal_of(good[:-1] + b"\xff") is ErrorCode.CORRUPT_MESSAGE
    assert refusal_of(good + good) is ErrorCode.INVALID_RECORD
    assert refusal_of(good[:16] + b"\x01" + good[17:]) is ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_checking_arbitrary_bytes_refuses_and_never_fails(produced: bytes) -> None:
    assert isinstance(refusal_of(produced), ErrorCode)


def test_a_compacted_topics_records_need_keys() -> None:
    batch.check_keys(kafka_python_batch([(1, b"k", None), (2, b"", b"w")]))
    with pytest.raises(RefusedError) as refused:
        batch.check_keys(kafka_python_batch([(1, b"k", b"v"), (2, None, b"w")], codec=3))
    assert refused.value.code is ErrorCode.INVALID_RECORD
