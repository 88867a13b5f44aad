"""Produce on the wire: what the broker checks of a batch, and idempotence, which clients keep to themselves."""

from __future__ import annotations

import pytest

from tests.conformance import wire
from tests.conformance.client import AdminClient, Code
from tests.conformance.scene import MakeTopic


def test_a_batch_sent_twice_is_written_once(connection: wire.Connection, make_topic: MakeTopic, admin: AdminClient) -> None:
    topic, who = make_topic(), _producer(connection)
    first = wire.produce(connection, topic, wire.batch([b"a", b"b"], producer=who, sequence=0))
    again = wire.produce(connection, topic, wire.batch([b"a", b"b"], producer=who, sequence=0))
    after = wire.produce(connection, topic, wire.batch([b"c"], producer=who, sequence=2))
    assert [(each.error_code, each.base_offset) for each in (first, again, after)] == [(0, 0), (0, 0), (0, 2)]
    assert [each.value for each in admin.read(topic, 3)] == [b"a", b"b", b"c"]


def test_any_of_the_last_five_batches_is_known_again(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic, who = make_topic(), _producer(connection)
    for sequence in range(6):
        assert wire.produce(connection, topic, wire.batch([b"x"], producer=who, sequence=sequence)).error_code == 0
    again = wire.produce(connection, topic, wire.batch([b"x"], producer=who, sequence=1))
    assert (again.error_code, again.base_offset) == (0, 1)


def test_a_gap_in_the_sequence_is_refused(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic, who = make_topic(), _producer(connection)
    assert wire.produce(connection, topic, wire.batch([b"x"], producer=who, sequence=0)).error_code == 0
    refused = wire.produce(connection, topic, wire.batch([b"x"], producer=who, sequence=2))
    assert refused.error_code == Code.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_new_epoch_starts_the_sequence_again_and_fences_the_old_one(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic, (number, epoch) = make_topic(), _producer(connection)
    assert wire.produce(connection, topic, wire.batch([b"x"], producer=(number, epoch), sequence=0)).error_code == 0
    assert wire.produce(connection, topic, wire.batch([b"x"], producer=(number, epoch + 1), sequence=0)).error_code == 0
    refused = wire.produce(connection, topic, wire.batch([b"x"], producer=(number, epoch), sequence=1))
    assert refused.error_code == Code.INVALID_PRODUCER_EPOCH


def test_a_new_epoch_that_does_not_start_at_zero_is_refused(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic, (number, epoch) = make_topic(), _producer(connection)
    assert wire.produce(connection, topic, wire.batch([b"x"], producer=(number, epoch), sequence=0)).error_code == 0
    refused = wire.produce(connection, topic, wire.batch([b"x"], producer=(number, epoch + 1), sequence=5))
    assert refused.error_code == Code.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_producer_ids_are_never_given_out_twice(connection: wire.Connection) -> None:
    found = [wire.producer_id(connection).producer_id for _ in range(5)]
    assert len(set(found)) == 5


def test_a_batch_damaged_on_its_way_is_refused(connection: wire.Connection, make_topic: MakeTopic, admin: AdminClient) -> None:
    topic = make_topic()
    damaged = bytearray(wire.batch([b"hello"]))
    damaged[-2] ^= 0xFF
    assert wire.produce(connection, topic, bytes(damaged)).error_code == Code.CORRUPT_MESSAGE
    assert wire.produce(connection, topic, wire.batch([b"whole"])).base_offset == 0
    assert [each.value for each in admin.read(topic, 1)] == [b"whole"]


def test_an_unknown_topic_is_refused(connection: wire.Connection, prefix: str) -> None:
    assert wire.produce(connection, f"{prefix}absent", wire.batch([b"x"])).error_code == Code.UNKNOWN_TOPIC_OR_PARTITION


def test_acks_of_another_number_are_refused(connection: wire.Connection, make_topic: MakeTopic) -> None:
    assert wire.produce(connection, make_topic(), wire.batch([b"x"]), acks=2).error_code == Code.INVALID_REQUIRED_ACKS


@pytest.mark.parametrize("acks", [1, -1])
def test_a_write_with_acks_is_answered_with_its_offset(connection: wire.Connection, make_topic: MakeTopic, acks: int) -> None:
    topic = make_topic()
    assert [wire.produce(connection, topic, wire.batch([b"x", b"y"]), acks=acks).base_offset for _ in range(2)] == [0, 2]


def test_a_write_without_acks_is_not_answered(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic()
    wire.produce_unacknowledged(connection, topic, wire.batch([b"x"]))
    assert wire.produce(connection, topic, wire.batch([b"y"])).base_offset == 1


def test_a_compacted_topic_takes_no_record_without_a_key(connection: wire.Connection, make_topic: MakeTopic) -> None:
    topic = make_topic(configs={"cleanup.policy": "compact"})
    assert wire.produce(connection, topic, wire.batch([b"x"])).error_code == Code.INVALID_RECORD
    assert wire.produce(connection, topic, wire.batch([b"x"], keys=[b"k"])).error_code == 0


@pytest.mark.parametrize("version", range(3, 9))
def test_every_version_of_produce_writes(connection: wire.Connection, make_topic: MakeTopic, version: int) -> None:
    answer = wire.produce(connection, make_topic(), wire.batch([b"x"]), version=version)
    assert (answer.error_code, answer.base_offset) == (0, 0)


def _producer(connection: wire.Connection) -> tuple[int, int]:
    answer = wire.producer_id(connection)
    assert answer.error_code == 0
    return answer.producer_id, answer.producer_epoch
