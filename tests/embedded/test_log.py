"""A partition's log gives back what was appended, whatever happened to its files in between."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.embedded import BrokerSettings, ErrorCode, batch
from stream.embedded.errors import RefusedError
from stream.embedded.log import PartitionLog
from stream.embedded.times import first_at, youngest


@pytest.fixture
def disk() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def opened(folder: Path, disk: ThreadPoolExecutor, *, segment_bytes: int = 1 << 20, index: int = 1 << 10) -> PartitionLog:
    return PartitionLog(folder, BrokerSettings(segment_bytes=segment_bytes, index_interval_bytes=index), disk, now_ms=0)


def append(log: PartitionLog, values: list[bytes], *, at_ms: int = 0) -> int:
    encoded = batch.build(((b"k", value) for value in values), at_ms=at_ms)
    return log.append(encoded, batch.check(encoded), now_ms=at_ms)


def values_from(log: PartitionLog, offset: int, max_bytes: int = 1 << 20) -> list[tuple[int, bytes | None]]:
    """What a consumer gets that fetches from `offset` to the end, skipping what precedes it in the first batch."""
    got: list[tuple[int, bytes | None]] = []
    while offset < log.end:
        chunk, at = log.read(offset, max_bytes, at_least_one=True), 0
        before = offset
        while at + batch.HEADER_BYTES <= len(chunk):
            header = batch.header_at(chunk, at)
            if at + header.size > len(chunk):
                break
            found = [record for record in batch.records(chunk[at : at + header.size]) if record.offset >= offset]
            got += [(record.offset, record.value) for record in found]
            offset = header.last_offset + 1
            at += header.size
        assert offset > before, "a fetch brought nothing"
    return got


def kill(log: PartitionLog) -> None:
    """Leaves the log as a killed process does: nothing flushed, nothing saved. Its thread does not outlive it, and a sealing that
    went on beside the next start would take its files away from under it."""
    log._disk.submit(lambda: None).result()
    os.close(log._fd)


batches = st.lists(st.lists(st.binary(max_size=400), min_size=1, max_size=8), min_size=1, max_size=40)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches, st.sampled_from([300, 2_000, 1 << 20]), st.sampled_from([1, 500, 5_000]), st.booleans(), st.data())
def test_every_offset_reads_on_to_the_end_before_and_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
    disk: ThreadPoolExecutor,
    appended: list[list[bytes]],
    segment_bytes: int,
    index: int,
    clean: bool,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = opened(folder, disk, segment_bytes=segment_bytes, index=index)
    offsets = [append(log, values) for values in appended]
    flat = list(enumerate(value for values in appended for value in values))
    assert offsets == [sum(map(len, appended[:i])) for i in range(len(appended))]
    start, step = data.draw(st.integers(0, len(flat))), data.draw(st.sampled_from([1, 700, 1 << 20]))
    assert values_from(log, start, step) == flat[start:]
    if clean:
        log.close()
    else:
        kill(log)
    again = opened(folder, disk, segment_bytes=segment_bytes, index=index)
    assert values_from(again, start, step) == flat[start:]
    assert append(again, [b"more"]) == len(flat)
    assert values_from(again, start, step) == [*flat[start:], (len(flat), b"more")]
    again.close()


def test_a_torn_tail_is_cut_off_wherever_it_was_torn(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    for torn in (1, 30, 61, 70, 90):
        folder = tmp_path / str(torn)
        log = opened(folder, disk)
        append(log, [b"first"])
        kept = log.size
        append(log, [b"second" * 20])
        kill(log)
        path = log.segments[0].path
        os.truncate(path, kept + torn)
        again = opened(folder, disk)
        assert values_from(again, 0) == [(0, b"first")]
        assert path.stat().st_size == kept
        assert append(again, [b"third"]) == 1
        assert values_from(again, 0) == [(0, b"first"), (1, b"third")]
        again.close()


def test_a_flipped_bit_ends_the_log_before_its_batch(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path, disk)
    for value in (b"a", b"b", b"c"):
        append(log, [value * 100])
    kill(log)
    path = log.segments[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    again = opened(tmp_path, disk)
    assert values_from(again, 0) == [(0, b"a" * 100)]
    again.close()


def test_a_log_closed_in_order_is_not_read_at_start(tmp_path: Path, disk: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path, disk, segment_bytes=2_000)
    for i in range(50):
        append(log, [b"%d" % i * 50])
    log.close()
    monkeypatch.setattr("stream.embedded.segment.Segment.batches", lambda *_: pytest.fail("the log was read"))
    again = opened(tmp_path, disk, segment_bytes=2_000)
    assert again.end == 50
    again.close()


@pytest.mark.parametrize("index", [1, 3_000])
def test_times_are_looked_up_inside_batches_and_out_of_order(tmp_path: Path, disk: ThreadPoolExecutor, index: int) -> None:
    log = opened(tmp_path, disk, segment_bytes=1_500, index=index)
    times = [100, 300, 200, 400, 400, 50, 900, 800]
    for at_ms in times:
        append(log, [b"x" * 90, b"y" * 90], at_ms=at_ms)
    for asked in (0, 50, 100, 101, 250, 300, 301, 400, 401, 850, 900):
        offset = next(2 * i for i, at_ms in enumerate(times) if at_ms >= asked)
        assert first_at(log, asked) == (offset, times[offset // 2]), asked
    assert first_at(log, 901) is None
    assert youngest(log) == (12, 900)
    log.close()


def test_reading_outside_the_log_is_refused(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path, disk)
    append(log, [b"a", b"b"])
    log.delete_before(1)
    assert log.read(2, 100, at_least_one=True) == b""
    for offset in (-1, 0, 3):
        with pytest.raises(RefusedError) as refused:
            log.read(offset, 100, at_least_one=True)
        assert refused.value.code is ErrorCode.OFFSET_OUT_OF_RANGE
    log.close()


def test_records_deleted_stay_deleted(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path, disk, segment_bytes=500)
    for i in range(40):
        append(log, [b"%d" % i * 40])
    log.delete_before(25)
    log.close()
    again = opened(tmp_path, disk, segment_bytes=500)
    assert (again.start, again.end) == (25, 40)
    assert [offset for offset, _ in values_from(again, 25)] == list(range(25, 40))
    assert again.segments[0].base > 0
    again.close()


def test_a_full_disk_refuses_and_leaves_the_log_whole(tmp_path: Path, disk: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    log = opened(tmp_path, disk)
    append(log, [b"first"])
    real = os.write

    def half(fd: int, content: memoryview) -> int:
        if len(content) > 40:
            return real(fd, content[:40])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half)
        with pytest.raises(RefusedError) as refused:
            append(log, [b"second"])
        assert refused.value.code is ErrorCode.KAFKA_STORAGE_ERROR
    assert append(log, [b"third"]) == 1
    assert values_from(log, 0) == [(0, b"first"), (1, b"third")]
    log.close()


def numbered(make_batch: Callable[..., bytes], sequence: int, epoch: int = 0, *values: bytes) -> tuple[bytes, batch.Header]:
    encoded = make_batch(*(values or (b"v",)), producer=9, epoch=epoch, sequence=sequence)
    return encoded, batch.check(encoded)


@pytest.mark.parametrize("clean", [True, False])
def test_repeats_of_an_idempotent_producer_are_known_across_restarts(
    tmp_path: Path, disk: ThreadPoolExecutor, make_batch: Callable[..., bytes], clean: bool
) -> None:
    log = opened(tmp_path, disk, segment_bytes=400)
    for sequence in range(8):
        assert log.append(*numbered(make_batch, sequence), now_ms=0) == sequence
    log.close() if clean else kill(log)
    again = opened(tmp_path, disk, segment_bytes=400)
    for sequence in range(3, 8):
        assert again.append(*numbered(make_batch, sequence), now_ms=0) == sequence
    assert again.end == 8
    for sequence in (2, 9, 100):
        with pytest.raises(RefusedError) as refused:
            again.append(*numbered(make_batch, sequence), now_ms=0)
        assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    assert again.append(*numbered(make_batch, 8), now_ms=0) == 8
    assert again.append(*numbered(make_batch, 0, 1), now_ms=0) == 9
    with pytest.raises(RefusedError) as fenced:
        again.append(*numbered(make_batch, 9), now_ms=0)
    assert fenced.value.code is ErrorCode.INVALID_PRODUCER_EPOCH
    again.close()


def test_sequences_wrap_after_the_largest(tmp_path: Path, disk: ThreadPoolExecutor, make_batch: Callable[..., bytes]) -> None:
    log = opened(tmp_path, disk)
    log.append(*numbered(make_batch, 2**31 - 1, 0, b"a", b"b"), now_ms=0)
    assert log.append(*numbered(make_batch, 1), now_ms=0) == 2
    log.close()


def test_sequences_saved_for_a_log_that_then_lost_its_end_are_counted_anew(
    tmp_path: Path, disk: ThreadPoolExecutor, make_batch: Callable[..., bytes]
) -> None:
    log = opened(tmp_path, disk)
    for sequence in range(4):
        log.append(*numbered(make_batch, sequence), now_ms=0)
    log.close()
    os.truncate(log.segments[0].path, log.size // 2)
    again = opened(tmp_path, disk)
    assert again.end == 2
    assert again.append(*numbered(make_batch, 2), now_ms=0) == 2
    again.close()
