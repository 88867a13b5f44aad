"""Compaction and retention remove what they should and nothing else, also when they are stopped half way."""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its stubs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.embedded import BrokerSettings, EmbeddedBroker, batch, running_broker
from stream.embedded.cleanup import retain
from stream.embedded.compaction import Plan, Rewritten, compact, install
from stream.embedded.configs import effective
from stream.embedded.log import PartitionLog

Entry = tuple[bytes, bytes | None]
SETTINGS = BrokerSettings(segment_bytes=600, index_interval_bytes=200)


@pytest.fixture
def disk() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def opened(folder: Path, disk: ThreadPoolExecutor) -> PartitionLog:
    return PartitionLog(folder, SETTINGS, disk, now_ms=0)


def append(log: PartitionLog, entries: list[Entry], *, at_ms: int = 0) -> None:
    encoded = batch.build(entries, at_ms=at_ms)
    log.append(encoded, batch.check(encoded), now_ms=at_ms)


def read(log: PartitionLog) -> list[batch.Record]:
    return [record for segment in log.segments for view, _ in segment.batches(0) for record in batch.records(bytes(view))]


def final(log: PartitionLog) -> dict[bytes, bytes]:
    """The table that a log holds: each key's last value, without those whose last record is a tombstone."""
    table = {record.key: record.value for record in read(log) if record.key is not None}
    return {key: value for key, value in table.items() if value is not None}


def plan(log: PartitionLog, *, max_keys: int = 10_000, tombstones_before_ms: int = -1) -> Plan:
    for sealing in log._sealing:
        sealing.result()
    return Plan(
        segments=tuple(log.segments[:-1]),
        cleaned=log.cleaned,
        segment_bytes=600,
        index_interval=200,
        max_keys=max_keys,
        tombstones_before_ms=tombstones_before_ms,
    )


def put_in_place(log: PartitionLog, rewritten: list[Rewritten]) -> None:
    for each in rewritten:
        log.replace(each.old, install(each))
        for segment in each.old[1:]:
            segment.delete()


entries = st.lists(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.none() | st.binary(max_size=60)), min_size=1, max_size=5),
    min_size=1,
    max_size=60,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, entries, st.sampled_from([1, 3, 100]))
def test_a_compacted_log_holds_the_same_table_and_only_records_it_had(
    tmp_path_factory: pytest.TempPathFactory, disk: ThreadPoolExecutor, first: list[list[Entry]], second: list[list[Entry]], max_keys: int
) -> None:
    folder = tmp_path_factory.mktemp("compact")
    log = opened(folder, disk)
    for written in (first, second):
        for each in written:
            append(log, each)
        before, table = {record.offset: record for record in read(log)}, final(log)
        rewritten, end = compact(plan(log, max_keys=max_keys))
        put_in_place(log, rewritten)
        log.set_cleaned(end)
        after = read(log)
        assert final(log) == table
        assert all(before[record.offset] == record for record in after)
        assert [record.offset for record in after] == sorted(record.offset for record in after)
        clean = [record.key for record in after if record.offset < end]
        assert len(clean) == len(set(clean)), "a key is twice in what is clean"
    log.close()
    again = opened(folder, disk)
    assert final(again) == table
    assert again.end == max(before) + 1
    again.close()


def test_a_compaction_stopped_between_its_steps_leaves_the_same_table(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path / "log", disk)
    for i in range(80):
        append(log, [(b"k%d" % (i % 7), b"v%d" % i * 8)])
    table = final(log)
    rewritten, _ = compact(plan(log))
    assert any(len(each.old) > 1 for each in rewritten) or len(rewritten) > 3
    for number, each in enumerate(rewritten):
        log.replace(each.old, install(each))
        for step in range(len(each.old)):
            if step:
                each.old[step].delete()
            copy = tmp_path / f"copy-{number}-{step}"
            shutil.copytree(tmp_path / "log", copy)
            crashed = opened(copy, disk)
            assert final(crashed) == table
            assert crashed.end == log.end
            assert not list(copy.glob("*.compacted"))
            crashed.close()
    log.close()


def test_tombstones_go_once_a_run_has_seen_them_and_their_time_is_over(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path, disk)
    append(log, [(b"gone", b"v")])
    append(log, [(b"gone", None), (b"stays", b"v")], at_ms=1_000)
    counts = []
    for tombstones_before_ms in (5_000, 500, 5_000):
        log.roll(now_ms=0)
        rewritten, end = compact(plan(log, tombstones_before_ms=tombstones_before_ms))
        put_in_place(log, rewritten)
        log.set_cleaned(end)
        append(log, [(b"other", b"%d" % tombstones_before_ms)])
        counts.append(sum(record.value is None for record in read(log)))
    assert counts == [1, 1, 0]
    assert final(log)[b"stays"] == b"v"
    log.close()


def test_retention_deletes_whole_segments_by_time_and_size(tmp_path: Path, disk: ThreadPoolExecutor) -> None:
    log = opened(tmp_path, disk)
    for i in range(40):
        append(log, [(b"k", b"x" * 100)], at_ms=i * 1_000)
    retain(log, effective({"retention.ms": "10000"}, SETTINGS), now_ms=40_000)
    assert 20 < log.start <= 30
    assert min(record.offset for record in read(log)) == log.start
    retain(log, effective({"retention.bytes": "1200", "retention.ms": "-1"}, SETTINGS), now_ms=40_000)
    assert 600 <= log.size <= 1_800
    assert log.end == 40
    retain(log, effective({"retention.ms": "10"}, SETTINGS), now_ms=90_000)
    assert (log.start, log.end, log.size) == (40, 40, 0)
    log.close()
    again = opened(tmp_path, disk)
    assert (again.start, again.end) == (40, 40)
    again.close()


@pytest.fixture
def tidy(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A broker that cleans up five times a second."""
    with running_broker(tmp_path / "tidy", settings=BrokerSettings(cleanup_interval_s=0.2)) as broker:
        yield broker


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_changelog_is_compacted_while_it_is_written_and_read(tidy: EmbeddedBroker) -> None:
    admin = AdminClient({"bootstrap.servers": tidy.address})
    config = {"cleanup.policy": "compact", "segment.bytes": "20000", "delete.retention.ms": "0"}
    admin.create_topics([NewTopic("changelog", 1, 1, config=config)])["changelog"].result(10)
    log = tidy.node.topics.log("changelog", 0)
    producer = Producer({"bootstrap.servers": tidy.address, "linger.ms": 1, "batch.size": 2_000, "compression.type": "lz4"})
    for i in range(6_000):
        producer.produce("changelog", b"%d" % i * 10, key=b"key-%d" % (i % 20), partition=0)
        if i % 500 == 0:
            producer.flush(10)
    producer.produce("changelog", None, key=b"key-3", partition=0)
    assert producer.flush(10) == 0
    until(lambda: log.cleaned >= log.segments[-1].base > 4_000 and sum(each.size for each in log.segments[:-1]) < 10_000)
    consumer = Consumer({"bootstrap.servers": tidy.address, "group.id": "g", "check.crcs": True})
    consumer.assign([TopicPartition("changelog", 0, 0)])
    table: dict[Any, Any] = {}
    last = -1
    while last < 6_000:
        for message in consumer.consume(500, 1.0):
            assert message.error() is None
            assert last < (message.offset() or 0)
            last = message.offset() or 0
            table[message.key()] = message.value()
    consumer.close()
    assert table == {b"key-%d" % i: b"%d" % (5_980 + i) * 10 for i in range(20)} | {b"key-3": None}


def test_old_offsets_of_groups_without_members_are_forgotten(tmp_path: Path) -> None:
    settings = BrokerSettings(cleanup_interval_s=0.1, offsets_retention_s=0.5)
    with running_broker(tmp_path, settings=settings) as broker:
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce("t", b"v", partition=0)
        producer.flush(10)
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "g"})
        consumer.commit(offsets=[TopicPartition("t", 0, 1)], asynchronous=False)
        assert "g" in broker.node.group_ids()
        until(lambda: "g" not in broker.node.group_ids())
        consumer.close()
    with running_broker(tmp_path, settings=settings) as broker:
        assert "g" not in broker.node.group_ids()
