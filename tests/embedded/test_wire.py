"""Frames are read and written as kafka-python reads and writes them."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.protocol.consumer import FetchResponse
from kafka.protocol.metadata import ApiVersionsResponse, MetadataRequest

from stream.embedded.dispatch import APIS, BY_KEY
from stream.embedded.errors import MalformedRequestError
from stream.embedded.wire import Fetched, encode_fetch, frame_response, read_body, read_header

parts = st.lists(
    st.builds(
        Fetched, st.integers(0, 99), st.sampled_from([0, 1, 3]), st.integers(-1, 2**60), st.integers(-1, 2**60), st.binary(max_size=50)
    ),
    max_size=4,
)


@settings(deadline=None)
@given(st.integers(4, 11), st.lists(st.tuples(st.text(max_size=20), parts), max_size=3))
def test_fetch_responses_are_decoded_by_kafka_python(version: int, topics: list[tuple[str, list[Fetched]]]) -> None:
    decoded = FetchResponse.decode(b"".join(encode_fetch(version, 0, topics).parts), version=version)
    assert [each.topic for each in decoded.responses] == [name for name, _ in topics]
    for topic, (_, wanted) in zip(decoded.responses, topics, strict=True):
        got = [
            (each.partition_index, each.error_code, each.high_watermark, each.last_stable_offset, each.records or b"")
            for each in topic.partitions
        ]
        assert got == [(each.partition, each.error, each.end, each.end, each.records) for each in wanted]
        if version >= 5:
            assert [each.log_start_offset for each in topic.partitions] == [each.start for each in wanted]


@pytest.mark.parametrize("version", range(13))
def test_requests_of_kafka_python_are_read_in_every_version(version: int) -> None:
    topic = MetadataRequest.MetadataRequestTopic(name="tö", topic_id=None)
    request = MetadataRequest(topics=[topic], allow_auto_topic_creation=False)
    request.with_header(correlation_id=77, client_id="clïent")
    frame = bytes(request.encode(version=version, header=True))
    header = read_header(frame)
    assert (header.key, header.version, header.correlation_id, header.client_id) == (3, version, 77, "clïent")
    assert [each.name for each in read_body(frame, header, MetadataRequest).topics] == ["tö"]


def test_a_body_cut_anywhere_is_malformed() -> None:
    request = MetadataRequest(topics=[MetadataRequest.MetadataRequestTopic(name="topic")], allow_auto_topic_creation=True)
    request.with_header(correlation_id=1, client_id="c")
    frame = bytes(request.encode(version=8, header=True))
    for length in range(len(frame)):
        with pytest.raises(MalformedRequestError):
            read_body(frame[:length], read_header(frame[:length]), MetadataRequest)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_request_or_malformed(frame: bytes) -> None:
    for api in APIS:
        for version in (api.from_, api.to):
            try:
                read_body(frame, read_header(struct.pack(">hhih", api.key, version, 0, -1) + frame), api.request)
            except MalformedRequestError:
                continue


def test_answers_to_api_versions_keep_the_old_header() -> None:
    header = read_header(struct.pack(">hhih", 18, 3, 5, -1))
    framed = b"".join(bytes(part) for part in frame_response(header, ApiVersionsResponse(error_code=0, api_keys=[])))
    assert struct.unpack_from(">ii", framed) == (len(framed) - 4, 5)
    assert ApiVersionsResponse.decode(framed, version=3, header=True, framed=True).api_keys == []


def test_every_request_of_the_table_can_be_answered_in_its_highest_version() -> None:
    assert len(BY_KEY) == len(APIS)
    for api in APIS:
        assert api.from_ in range(api.to + 1), api.name
        assert api.to <= api.request.max_version, api.name
        assert api.key == api.response.API_KEY
