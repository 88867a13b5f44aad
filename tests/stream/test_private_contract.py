"""Every private attribute of faust-streaming and aiokafka that the stream touches, and the exact versions it was read in.

When this fails after an upgrade: read what changed in the named place, then move the pin here and in pyproject.toml."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher as fetching
from aiokafka.producer.message_accumulator import BatchBuilder, MessageBatch
from faust.stores import memory, rocksdb
from faust.tables.base import Collection
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver

PINS = {"faust-streaming": "0.15.3", "aiokafka": "0.14.0"}

TOUCHED: dict[object, tuple[str, ...]] = {
    consumer.Consumer: (
        "_filter_tps_with_pending_acks", "_new_offset", "_should_commit", "_drain_messages", "_wait_next_records", "_add_gap",
        "_get_active_partitions", "_to_message", "_new_topicpartition", "on_partitions_revoked", "perform_seek", "wait_empty",
        "on_partitions_assigned", "commit_and_end_transactions", "on_buffer_full", "on_buffer_drop", "stop_flow", "seek",
    ),
    driver.AIOKafkaConsumerThread: ("seek_wait", "earliest_offsets", "_fetch_records", "_create_worker_consumer"),
    driver.Consumer: ("_new_consumer_thread",),
    fetching.PartitionRecords: ("_consumer_record",),
    Recovery: ("_set_recovery_ended", "need_recovery", "active_remaining"),
    Collection: ("_new_store",),
    memory.Store: ("persisted_offset", "on_rebalance", "on_recovery_completed"),
    rocksdb.Store: ("_db_for_partition", "_visible_items"),
    BatchBuilder: ("_build", "record_count"),
}


@pytest.mark.parametrize(("package", "pinned"), PINS.items())
def test_the_pinned_versions_are_installed(package: str, pinned: str) -> None:
    assert version(package) == pinned
    project = (Path(__file__).parent.parent.parent / "pyproject.toml").read_text()
    assert re.search(rf'"{package}=={re.escape(pinned)}"', project)


@pytest.mark.parametrize(("owner", "names"), TOUCHED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_touched_is_there(owner: object, names: tuple[str, ...]) -> None:
    assert [name for name in names if not hasattr(owner, name)] == []


def test_instance_attributes_are_set_where_they_were() -> None:
    source = inspect.getsource(consumer.Consumer.__init__) + inspect.getsource(consumer.Consumer._reset_state)
    for name in ("_committed_offset", "_read_offset", "_buffered_partitions", "can_resume_flow", "suspend_flow", "flow_active"):
        assert f"self.{name}" in source, name
    assert "signal_recovery_end" in inspect.getsource(Recovery)
    assert "signal_recovery_start in wait_result.done" in inspect.getsource(Recovery._wait)
    assert "consumer.seek_wait" in inspect.getsource(Recovery._seek_offsets)
    assert rocksdb.Store.offset_key == b"__faust\0offset__"


def test_a_commit_still_goes_through_the_two_overridden_steps() -> None:
    assert "_filter_tps_with_pending_acks" in inspect.getsource(consumer.Consumer.force_commit)
    assert "_new_offset" in inspect.getsource(consumer.Consumer._filter_committable_offsets)


def test_faust_still_seeks_to_the_committed_offsets_after_every_rebalance() -> None:
    assert "perform_seek" in inspect.getsource(Recovery._resume_streams)
    assert "perform_seek" in inspect.getsource(Recovery.on_recovery_completed)


def test_the_fetcher_still_runs_the_overridden_drain() -> None:
    assert "_drain_messages" in inspect.getsource(consumer.Fetcher)


def test_records_are_still_made_when_they_are_taken_from_what_the_fetcher_holds() -> None:
    assert "self._consumer_record(tp, record)" in inspect.getsource(fetching.PartitionRecords._unpack_records)
    assert "self._records[tp] = FetchResult(" in inspect.getsource(fetching.Fetcher._proc_fetch_request)
    assert "self._partition_records" in inspect.getsource(fetching.FetchResult.__init__)
    assert "fetcher = consumer._fetcher" in inspect.getsource(driver.AIOKafkaConsumerThread._fetch_records)


def test_the_client_still_tells_its_fetcher_how_long_a_fetch_may_wait() -> None:
    assert "self._create_worker_consumer(" in inspect.getsource(driver.AIOKafkaConsumerThread._create_consumer)
    assert "fetch_max_wait_ms=self._fetch_max_wait_ms" in inspect.getsource(AIOKafkaConsumer.start)


def test_the_producer_still_takes_a_batch_by_the_overridden_steps() -> None:
    assert "_builder" in inspect.getsource(BatchBuilder.__init__)
    assert "self._builder._build()" in inspect.getsource(MessageBatch.get_data_buffer)


def test_stopping_still_waits_for_the_batch_in_hand() -> None:
    import faust

    source = inspect.getsource(faust.App._stop_consumer) + inspect.getsource(faust.App._consumer_wait_empty)
    assert "wait_empty" in source
