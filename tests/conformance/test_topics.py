from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conformance.client import AdminClient, Client, Code, Record, Refused
from tests.conformance.scene import MakeTopic, partitions_of, until


def test_a_topic_is_created_with_its_partitions_and_configs(admin_client: AdminClient, unique: Callable[[str], str]) -> None:
    topic = unique("made")
    admin_client.create_topic(topic, partitions=3, configs={"retention.ms": "86400000", "cleanup.policy": "compact"})
    until(lambda: partitions_of(admin_client, topic) == 3)
    found = admin_client.configs(topic)
    assert (found["retention.ms"], found["cleanup.policy"]) == ("86400000", "compact")
    assert topic in admin_client.topics()


def test_configs_left_alone_have_kafkas_defaults(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    found = admin_client.configs(make_topic())
    expected = {
        "cleanup.policy": "delete", "retention.ms": "604800000", "retention.bytes": "-1", "max.message.bytes": "1048588",
        "message.timestamp.type": "CreateTime", "compression.type": "producer", "min.insync.replicas": "1",
        "delete.retention.ms": "86400000", "min.cleanable.dirty.ratio": "0.5", "segment.ms": "604800000",
    }  # fmt: skip
    assert {name: found.get(name) for name in expected} == expected


def test_a_config_is_altered_and_described(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.set_config(topic, "retention.ms", "123456")
    until(lambda: admin_client.configs(topic)["retention.ms"] == "123456")


def test_a_config_in_force_is_the_altered_one(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.set_config(topic, "max.message.bytes", "5000")
    until(lambda: admin_client.configs(topic)["max.message.bytes"] == "5000")
    with pytest.raises(Refused) as refused:
        admin_client.produce(topic, [Record(value=b"x" * 9000)])
    assert refused.value.code == Code.MESSAGE_TOO_LARGE


@pytest.mark.parametrize(("name", "value"), [("retention.ms", "soon"), ("retention.ms", "-5"), ("no.such.config", "1")])
def test_a_config_that_makes_no_sense_is_refused(admin_client: AdminClient, make_topic: MakeTopic, name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.set_config(make_topic(), name, value)
    assert refused.value.code == Code.INVALID_CONFIG


def test_a_topic_with_a_config_that_makes_no_sense_is_not_created(admin_client: AdminClient, unique: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.create_topic(unique("wrong"), configs={"cleanup.policy": "burn"})
    assert refused.value.code == Code.INVALID_CONFIG
    assert unique("wrong") not in admin_client.topics()


def test_a_name_that_is_taken_is_refused(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.create_topic(make_topic())
    assert refused.value.code == Code.TOPIC_ALREADY_EXISTS


@pytest.mark.parametrize("name", ["with space", "ümlaut", "x" * 250, "a/b"])
def test_a_name_that_is_none_is_refused(admin_client: AdminClient, name: str) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.create_topic(name)
    assert refused.value.code == Code.INVALID_TOPIC


def test_more_copies_than_brokers_are_refused(admin_client: AdminClient, unique: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.create_topic(unique("thrice"), replication=3)
    assert refused.value.code == Code.INVALID_REPLICATION_FACTOR


def test_a_topic_grows_and_keeps_its_records(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic(partitions=2)
    admin_client.produce(topic, [Record(value=b"kept", partition=1)])
    admin_client.grow_topic(topic, 4)
    until(lambda: partitions_of(admin_client, topic) == 4)
    admin_client.produce(topic, [Record(value=b"new", partition=3)])
    assert [each.value for each in admin_client.read(topic, 1, partition=1)] == [b"kept"]
    assert [each.value for each in admin_client.read(topic, 1, partition=3)] == [b"new"]


def test_a_topic_does_not_shrink(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.grow_topic(make_topic(partitions=3), 2)
    assert refused.value.code == Code.INVALID_PARTITIONS


def test_a_deleted_topic_is_gone_and_comes_back_empty(admin_client: AdminClient, make_topic: MakeTopic) -> None:
    topic = make_topic()
    admin_client.produce(topic, [Record(value=b"old")])
    admin_client.delete_topic(topic)
    until(lambda: topic not in admin_client.topics())

    admin_client.create_topic(topic)
    until(lambda: partitions_of(admin_client, topic) == 1)
    assert admin_client.produce(topic, [Record(value=b"new")]) == [0]
    assert [each.value for each in admin_client.read(topic, 1)] == [b"new"]


def test_deleting_an_unknown_topic_is_refused(admin_client: AdminClient, unique: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as refused:
        admin_client.delete_topic(unique("absent"))
    assert refused.value.code == Code.UNKNOWN_TOPIC_OR_PARTITION


def test_asking_for_an_unknown_topic_says_so_and_creates_nothing(client: Client, admin: AdminClient, unique: Callable[[str], str]) -> None:
    with pytest.raises(Refused) as refused:
        client.partitions(unique("absent"))
    assert refused.value.code == Code.UNKNOWN_TOPIC_OR_PARTITION
    assert unique("absent") not in admin.topics()


def test_every_client_sees_how_many_partitions_there_are(client: Client, make_topic: MakeTopic) -> None:
    assert client.partitions(make_topic(partitions=7)) == 7
