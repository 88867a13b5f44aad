"""What groups have committed and where they begin, on both brokers; and on a cluster that has had no group yet."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import CoordinatorLoadInProgressError, NotCoordinatorError

from deploy.kafka import KafkaMissingError, running_kafka
from stream import groups, topics
from stream.errors import BrokerError
from stream.settings import Settings


def test_a_group_begins_where_it_is_put(settings: Settings, unique: Callable[[str], str]) -> None:
    group, wire = unique("group"), f"{settings.prefix}messages"
    assert groups.committed(settings, group) == {}
    assert groups.state(settings, group) == ("Dead", 0)
    wanted = {TopicPartition(wire, 0): 3, TopicPartition(wire, 2): 7}
    groups.put(settings, group, wanted)
    assert groups.committed(settings, group) == wanted
    assert groups.state(settings, group) == ("Empty", 0)


def test_a_coordinator_is_asked_again_for_a_while(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Exception | str] = [NotCoordinatorError("moved"), CoordinatorLoadInProgressError("reads"), "here"]

    def ask(client: KafkaAdminClient) -> str:
        asked.append(client)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    asked: list[KafkaAdminClient] = []
    assert groups.coordinated(settings, ask) == "here"
    assert len({id(client) for client in asked}) == 3
    monkeypatch.setattr("stream.groups.PATIENCE_S", 0.2)
    answers.extend([NotCoordinatorError("moved")] * 100)
    with pytest.raises(BrokerError, match="NotCoordinatorError"):
        groups.coordinated(settings, ask)
    assert 90 < len(answers) < 100


def test_a_group_with_members_is_not_put_elsewhere(settings: Settings, unique: Callable[[str], str]) -> None:
    group, wire = unique("group"), f"{settings.prefix}messages"
    member = KafkaConsumer(wire, bootstrap_servers=settings.broker, group_id=group)
    try:
        deadline_s = time.monotonic() + 20
        while groups.state(settings, group) != ("Stable", 1):
            member.poll(timeout_ms=100)
            assert time.monotonic() < deadline_s
        with pytest.raises(BrokerError, match=f"refuses: .*{wire}/0"):
            groups.put(settings, group, {TopicPartition(wire, 0): 3})
    finally:
        member.close()


@pytest.mark.kafka
def test_the_first_group_of_a_cluster_is_waited_for() -> None:
    """Apache Kafka makes its topic of offsets for it, and has no coordinator meanwhile."""
    try:
        with running_kafka() as cluster:
            settings = Settings(broker=cluster.address)
            topics.create(settings)
            assert all(not state.lag for state in topics.states(settings))
            groups.put(settings, "another", {TopicPartition("messages", 0): 3})
            assert groups.committed(settings, "another") == {TopicPartition("messages", 0): 3}
    except KafkaMissingError as error:
        pytest.skip(f"Apache Kafka: {error}")
