from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence

import pytest

from tests.conformance.client import COMPRESSIONS, AdminClient, Client, Code, Record, Refused
from tests.conformance.scene import MakeTopic

AT_MS = int(time.time() * 1000) - 3_600_000
"""An hour ago: retention does not touch it yet."""


def test_records_come_back_as_written_in_every_compression(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic()
    wrote = [Record(key=f"k{n}".encode(), value=b"text " * 50 + str(n).encode()) for n in range(20)]
    for round_, compression in enumerate(COMPRESSIONS):
        assert client.produce(topic, wrote, compression=compression) == list(range(20 * round_, 20 * round_ + 20))
    read = client.read(topic, 20 * len(COMPRESSIONS))
    assert [(each.key, each.value) for each in read] == [(each.key, each.value) for each in wrote] * len(COMPRESSIONS)
    assert [each.offset for each in read] == list(range(20 * len(COMPRESSIONS)))


@pytest.fixture(scope="module")
def mixed(broker: str, admin: AdminClient, clients: Sequence[Client]) -> tuple[str, list[Record]]:
    """A topic that every client has written to in every compression, and what they wrote; headers without a value come from
    those that can write them."""
    topic = f"mixed-{uuid.uuid4().hex}"
    admin.create_topic(topic)
    wrote = []
    for client in clients:
        for compression in COMPRESSIONS:
            headers: tuple[tuple[str, bytes | None], ...] = (("ce_id", b"7"), ("by", client.name.encode()))
            if client.name not in ("kafka-python", "kcat"):
                headers = (*headers, ("none", None), ("empty", b""))
            wrote.append(Record(key=b"key", value=compression.encode(), headers=headers))
            client.produce(topic, wrote[-1:], compression=compression)
    return topic, wrote


def test_each_client_reads_what_all_of_them_wrote(client: Client, mixed: tuple[str, list[Record]]) -> None:
    topic, wrote = mixed
    read = client.read(topic, len(wrote))
    assert [(each.key, each.value, each.headers) for each in read] == [(each.key, each.value, each.headers) for each in wrote]


def test_null_keys_and_null_values_stay_null(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic()
    client.produce(topic, [Record(key=None, value=b"no key"), Record(key=b"no value", value=None)])
    assert [(each.key, each.value) for each in client.read(topic, 2)] == [(None, b"no key"), (b"no value", None)]


def test_headers_keep_their_order_and_repeat(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic()
    headers = (("a", b"1"), ("b", b"2"), ("a", b"3"))
    client.produce(topic, [Record(value=b"x", headers=headers)])
    assert client.read(topic, 1)[0].headers == headers


def test_timestamps_of_the_producer_are_kept(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.produce(topic, [Record(value=b"x", timestamp_ms=AT_MS + n) for n in (0, 50, 20)])
    assert [each.timestamp_ms for each in admin_client.read(topic, 3)] == [AT_MS, AT_MS + 50, AT_MS + 20]


def test_the_brokers_own_time_replaces_them_where_the_topic_says_so(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(configs={"message.timestamp.type": "LogAppendTime"})
    before_ms = int(time.time() * 1000)
    admin_client.produce(topic, [Record(value=b"x", timestamp_ms=AT_MS)])
    (read,) = admin_client.read(topic, 1)
    assert before_ms - 1000 <= read.timestamp_ms <= int(time.time() * 1000) + 1000


def test_an_idempotent_producer_writes(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic()
    assert client.produce(topic, [Record(value=str(n).encode()) for n in range(5)], idempotent=True) == [0, 1, 2, 3, 4]
    assert [each.value for each in client.read(topic, 5)] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_record_over_the_limit_is_refused_and_the_next_one_taken(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic(configs={"max.message.bytes": "20000"})
    with pytest.raises(Refused) as refused:
        client.produce(topic, [Record(value=b"x" * 40_000)])
    assert refused.value.code == Code.MESSAGE_TOO_LARGE
    assert client.produce(topic, [Record(value=b"x" * 10_000)]) == [0]


def test_a_record_larger_than_a_fetch_still_arrives(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic(configs={"max.message.bytes": str(4 << 20)})
    value = b"0123456789abcdef" * (3 << 16)  # 3 MiB; clients fetch 1 MiB of a partition unless told otherwise
    client.produce(topic, [Record(value=value), Record(value=b"after")])
    assert [each.value for each in client.read(topic, 2)] == [value, b"after"]


def test_a_reader_from_the_end_sees_only_what_comes_later(client: Client, admin: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin.produce(topic, [Record(value=b"before")])
    late = _read_in_background(client, topic)
    deadline_s = time.monotonic() + 15
    found: list[Record] = []
    while not found and time.monotonic() < deadline_s:
        admin.produce(topic, [Record(value=b"after")])
        time.sleep(0.1)
        found = late()
    assert {each.value for each in found} == {b"after"}


def _read_in_background(client: Client, topic: str) -> Callable[[], list[Record]]:
    found: list[Record] = []
    thread = threading.Thread(target=lambda: found.extend(client.read(topic, 1, start="latest")))
    thread.start()

    def look() -> list[Record]:
        thread.join(0.1)
        return found

    return look


def test_partitions_are_apart(client: Client, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=3)
    client.produce(topic, [Record(value=str(n).encode(), partition=n % 3) for n in range(9)])
    assert [each.value for each in client.read(topic, 3, partition=1)] == [b"1", b"4", b"7"]


def test_deleted_records_are_gone_and_offsets_stay(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.produce(topic, [Record(value=str(n).encode()) for n in range(10)])
    admin_client.delete_records(topic, 6)
    assert [(each.offset, each.value) for each in admin_client.read(topic, 4)] == [(n, str(n).encode()) for n in range(6, 10)]


def test_deleting_past_the_end_is_refused(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.produce(topic, [Record(value=b"x")])
    with pytest.raises(Refused) as refused:
        admin_client.delete_records(topic, 5)
    assert refused.value.code == Code.OFFSET_OUT_OF_RANGE
