from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conformance.client import AdminClient, Client, Compression, Record
from tests.conformance.scene import Join, MakeTopic

AT_MS = int(time.time() * 1000) - 3_600_000
"""An hour ago: retention does not touch it yet."""


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_offsets_are_found_by_timestamp_inside_a_batch(
    client: Client, admin: AdminClient, make_topic: MakeTopic, compression: Compression
) -> None:
    topic = make_topic()
    admin.produce(topic, [Record(value=b"x", timestamp_ms=AT_MS + 10 * n) for n in range(100)], compression=compression)
    assert client.offset_at(topic, AT_MS - 1) == 0
    assert client.offset_at(topic, AT_MS + 500) == 50
    assert client.offset_at(topic, AT_MS + 501) == 51
    assert client.offset_at(topic, AT_MS + 990) == 99


def test_there_is_no_offset_after_the_last_timestamp(client: Client, admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin.produce(topic, [Record(value=b"x", timestamp_ms=AT_MS)])
    assert client.offset_at(topic, AT_MS + 1) is None


def test_the_first_record_at_or_after_a_time_counts_where_times_go_back_and_forth(
    client: Client, admin: AdminClient, make_topic: MakeTopic
) -> None:
    topic = make_topic()
    for shift_ms in (0, 300, 100, 200):
        admin.produce(topic, [Record(value=b"x", timestamp_ms=AT_MS + shift_ms)])
    assert client.offset_at(topic, AT_MS + 150) == 1


def test_a_group_resumes_where_it_committed(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(), unique("group")
    admin.produce(topic, [Record(value=str(n).encode()) for n in range(4)])
    first = join(client, group, topic)
    assert [each.value for each in first.poll(4)] == [b"0", b"1", b"2", b"3"]
    first.commit()
    first.close()
    admin.produce(topic, [Record(value=str(n).encode()) for n in range(4, 8)])
    second = join(client, group, topic)
    assert [each.value for each in second.poll(4)] == [b"4", b"5", b"6", b"7"]


def test_committed_offsets_are_listed(admin_client: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join) -> None:
    topic, group = make_topic(partitions=2), unique("group")
    admin_client.produce(topic, [Record(value=b"x", partition=n % 2) for n in range(6)])
    member = join(admin_client, group, topic)
    assert len(member.poll(6)) == 6
    member.commit()
    assert admin_client.committed(group, topic) == {0: 3, 1: 3}


def test_a_group_that_never_committed_has_no_offsets(admin_client: AdminClient, unique: Callable[[str], str]) -> None:
    assert admin_client.committed(unique("nobody"), "messages") == {}


def test_deleting_records_moves_a_new_groups_beginning(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic = make_topic()
    admin.produce(topic, [Record(value=str(n).encode()) for n in range(5)])
    admin.delete_records(topic, 3)
    member = join(client, unique("group"), topic)
    assert [each.offset for each in member.poll(2)] == [3, 4]


def test_a_group_whose_place_is_gone_starts_again_at_the_earliest(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(), unique("group")
    admin.produce(topic, [Record(value=b"x")])
    first = join(client, group, topic)
    assert len(first.poll(1)) == 1
    first.commit()
    first.close()
    admin.produce(topic, [Record(value=str(n).encode()) for n in range(1, 10)])
    admin.delete_records(topic, 7)
    second = join(client, group, topic)
    assert [each.offset for each in second.poll(3)] == [7, 8, 9]
