"""Fetch, ListOffsets, Metadata and ApiVersions on the wire."""

from __future__ import annotations

import struct
import threading
import time
from typing import Any

import pytest
from kafka.protocol.consumer import FetchRequest, FetchResponse
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse

from tests.conformance import wire
from tests.conformance.client import Code
from tests.conformance.scene import MakeTopic

AT_MS = int(time.time() * 1000) - 3_600_000
NEWEST = -3


def _fetch(
    connection: wire.Connection, topic: str, offset: int, *, wait_ms: int = 0, least: int = 1, most: int = 1 << 20, version: int = 11
) -> Any:
    """Partition 0's part of a Fetch."""
    partition = FetchRequest.FetchTopic.FetchPartition(
        partition=0, current_leader_epoch=-1, fetch_offset=offset, log_start_offset=-1, partition_max_bytes=most
    )
    request = FetchRequest(
        replica_id=-1, max_wait_ms=wait_ms, min_bytes=least, max_bytes=64 << 20, isolation_level=0, session_id=0, session_epoch=-1,
        topics=[FetchRequest.FetchTopic(topic=topic, partitions=[partition])], forgotten_topics_data=[], rack_id="",
    )  # fmt: skip
    return connection.ask(request, FetchResponse, version).responses[0].partitions[0]


@pytest.mark.parametrize("version", range(4, 12))
def test_every_version_of_fetch_reads(connection: wire.Connection, make_topic: MakeTopic, version: int) -> None:
    topic = make_topic()
    sent = wire.batch([b"hello"])
    wire.produce(connection, topic, sent)
    found = _fetch(connection, topic, 0, version=version)
    assert (found.error_code, found.high_watermark) == (0, 1)
    # The broker writes its own leader epoch (bytes 12 to 16) into a batch; everything after is the producer's.
    assert bytes(found.records)[16:] == sent[16:]


def test_a_fetch_past_the_end_is_refused_and_one_at_the_end_is_empty(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    wire.produce(connection, topic, wire.batch([b"x"]))
    assert _fetch(connection, topic, 2).error_code == Code.OFFSET_OUT_OF_RANGE
    assert not _fetch(connection, topic, 1).records


def test_a_fetch_of_an_unknown_topic_is_refused(connection: wire.Connection, prefix: str) -> None:
    assert _fetch(connection, f"{prefix}absent", 0).error_code == Code.UNKNOWN_TOPIC_OR_PARTITION


def test_a_fetch_waits_for_a_record_and_no_longer(connection: wire.Connection, broker: str, make_topic: MakeTopic) -> None:
    topic = make_topic()
    with wire.Connection(broker) as writer:
        later = threading.Timer(0.4, lambda: wire.produce(writer, topic, wire.batch([b"x"])))
        later.start()
        begun_s = time.monotonic()
        found = _fetch(connection, topic, 0, wait_ms=15_000)
        waited_s = time.monotonic() - begun_s
        later.join()
    assert found.records
    assert 0.3 < waited_s < 10


def test_a_fetch_that_finds_nothing_answers_when_its_time_is_up(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    begun_s = time.monotonic()
    assert not _fetch(connection, topic, 0, wait_ms=500).records
    assert 0.4 < time.monotonic() - begun_s < 10


def test_a_batch_larger_than_what_was_asked_for_is_given_whole(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    sent = wire.batch([b"x" * 10_000])
    wire.produce(connection, topic, sent)
    assert len(_fetch(connection, topic, 0, most=100).records) == len(sent)


def test_a_fetch_in_the_middle_of_a_batch_gives_the_batch(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    sent = wire.batch([b"a", b"b", b"c"])
    wire.produce(connection, topic, sent)
    records = bytes(_fetch(connection, topic, 2).records)
    assert struct.unpack_from(">q", records) == (0,)
    assert len(records) == len(sent)


@pytest.mark.parametrize("version", range(1, 8))
def test_every_version_of_list_offsets_finds_the_ends(connection: wire.Connection, make_topic: MakeTopic, version: int) -> None:
    topic = make_topic()
    wire.produce(connection, topic, wire.batch([b"x", b"y"]))
    assert wire.offset_at(connection, topic, wire.EARLIEST, version=version)[:2] == (0, 0)
    assert wire.offset_at(connection, topic, wire.LATEST, version=version)[:2] == (0, 2)


def test_the_newest_record_is_found(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    for shift_ms in (0, 500, 100):
        wire.produce(connection, topic, wire.batch([b"x"], timestamp_ms=AT_MS + shift_ms))
    assert wire.offset_at(connection, topic, NEWEST) == (0, 1, AT_MS + 500)


def test_the_timestamp_found_is_told(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    wire.produce(connection, topic, wire.batch([b"x", b"y", b"z"], timestamp_ms=AT_MS))
    assert wire.offset_at(connection, topic, AT_MS + 1) == (0, 1, AT_MS + 1)
    assert wire.offset_at(connection, topic, AT_MS + 3)[:2] == (0, -1)


def test_offsets_of_an_unknown_topic_are_refused(connection: wire.Connection, prefix: str) -> None:
    assert wire.offset_at(connection, f"{prefix}absent", wire.LATEST)[0] == Code.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("version", [*range(1, 13)])
def test_every_version_of_metadata_names_the_broker_and_the_topic(
    connection: wire.Connection, broker: str, make_topic: MakeTopic, version: int
) -> None:
    topic = make_topic(partitions=2)
    asked = MetadataRequest.MetadataRequestTopic(name=topic)
    answer = connection.ask(MetadataRequest(topics=[asked], allow_auto_topic_creation=False), MetadataResponse, version)
    assert [f"{each.host}:{each.port}" for each in answer.brokers] == [broker]
    (found,) = answer.topics
    assert (found.error_code, found.name) == (0, topic)
    leader = answer.brokers[0].node_id
    assert sorted((each.partition_index, each.leader_id, tuple(each.isr_nodes)) for each in found.partitions) == [
        (0, leader, (leader,)), (1, leader, (leader,)),
    ]  # fmt: skip


def test_a_topic_name_that_is_none_is_told_apart_from_an_unknown_one(connection: wire.Connection, prefix: str) -> None:
    asked = [MetadataRequest.MetadataRequestTopic(name=name) for name in (f"{prefix}absent", "no name")]
    answer = connection.ask(MetadataRequest(topics=asked, allow_auto_topic_creation=True), MetadataResponse, 9)
    codes = {each.name: each.error_code for each in answer.topics}
    assert codes == {f"{prefix}absent": Code.UNKNOWN_TOPIC_OR_PARTITION, "no name": Code.INVALID_TOPIC}


def test_a_version_that_the_broker_does_not_speak_is_answered_with_those_of_this_request(connection: wire.Connection) -> None:
    # A client from the future: the broker answers in version 0, so that any client can read it.
    connection.send_bytes(struct.pack(">ihhihb", 11, 18, 99, 7, -1, 0))
    frame = connection.receive_bytes()
    answer = ApiVersionsResponse.decode(frame, version=0, header=True)
    assert frame[:4] == struct.pack(">i", 7)
    assert answer.error_code == Code.UNSUPPORTED_VERSION
    assert [each.min_version for each in answer.api_keys if each.api_key == 18] == [0]


def test_everything_that_the_broker_says_it_speaks_is_something_it_does(connection: wire.Connection) -> None:
    answer = connection.ask(ApiVersionsRequest(client_software_name="x", client_software_version="1"), ApiVersionsResponse, 3)
    spoken = {each.api_key: (each.min_version, each.max_version) for each in answer.api_keys}
    needed = {0: (3, 8), 1: (4, 11), 2: (1, 7), 3: (1, 12), 8: (2, 7), 9: (1, 7), 11: (2, 5), 12: (0, 3), 18: (0, 3)}
    assert all(spoken[key][0] <= least and most <= spoken[key][1] for key, (least, most) in needed.items())


def test_an_unknown_request_ends_the_connection(connection: wire.Connection, broker: str) -> None:
    connection.send_bytes(struct.pack(">ihhih", 10, 9999, 0, 1, -1))
    with pytest.raises(ConnectionError):
        connection.receive_bytes()
    with wire.Connection(broker) as another:
        assert another.ask(ApiVersionsRequest(), ApiVersionsResponse, 0).error_code == 0


def test_requests_sent_together_are_answered_in_order(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    asked = [MetadataRequest.MetadataRequestTopic(name=topic)]
    sent = [connection.send(MetadataRequest(topics=asked, allow_auto_topic_creation=False), 9) for _ in range(20)]
    assert [connection.receive(MetadataResponse, 9)[0] for _ in range(20)] == sent
