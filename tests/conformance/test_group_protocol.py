"""Groups on the wire: who is let in, who is fenced, and which commits count."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from kafka.protocol.admin import DeleteGroupsRequest, DeleteGroupsResponse
from kafka.protocol.consumer import OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse

from tests.conformance import wire
from tests.conformance.client import Code
from tests.conformance.scene import MakeTopic


@pytest.fixture
def group(connection: wire.Connection, unique: Callable[[str], str]) -> str:
    """A group that no other test uses, without members."""
    return wire.coordinated(connection, unique("group"))


def _alone(connection: wire.Connection, group: str, *, instance: str | None = None, session_ms: int = 10_000) -> tuple[int, str]:
    """Join as the only member and take the assignment; generation and member id."""
    joined = wire.join(connection, group, instance=instance, session_ms=session_ms)
    if joined.error_code == Code.MEMBER_ID_REQUIRED:
        joined = wire.join(connection, group, member=joined.member_id, instance=instance, session_ms=session_ms)
    assert joined.error_code == 0
    assert (
        wire.sync(connection, group, joined.generation_id, joined.member_id, instance=instance, assign=[joined.member_id]).error_code == 0
    )
    return joined.generation_id, joined.member_id


def _commit(
    connection: wire.Connection, group: str, topic: str, offset: int, *, generation: int = -1, member: str = "", note: str = ""
) -> int:
    partition = OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition
    request = OffsetCommitRequest(
        group_id=group, generation_id_or_member_epoch=generation, member_id=member, group_instance_id=None,
        topics=[
            OffsetCommitRequest.OffsetCommitRequestTopic(
                name=topic,
                partitions=[partition(partition_index=0, committed_offset=offset, committed_leader_epoch=-1, committed_metadata=note)],
            )
        ],
    )  # fmt: skip
    return int(connection.ask(request, OffsetCommitResponse, 7).topics[0].partitions[0].error_code)


def _committed(connection: wire.Connection, group: str, topic: str) -> tuple[int, int, str]:
    """Error code, offset and metadata of partition 0."""
    asked = OffsetFetchRequest.OffsetFetchRequestTopic(name=topic, partition_indexes=[0])
    answer = connection.ask(OffsetFetchRequest(group_id=group, topics=[asked], require_stable=False), OffsetFetchResponse, 7)
    part = answer.topics[0].partitions[0]
    return part.error_code, part.committed_offset, part.metadata


def test_a_new_member_is_told_its_id_before_it_is_let_in(connection: wire.Connection, group: str) -> None:
    told = wire.join(connection, group)
    assert told.error_code == Code.MEMBER_ID_REQUIRED
    assert told.member_id
    joined = wire.join(connection, group, member=told.member_id)
    assert (joined.error_code, joined.leader, [each.member_id for each in joined.members]) == (0, told.member_id, [told.member_id])


def test_the_leaders_assignment_reaches_the_member(connection: wire.Connection, group: str) -> None:
    told = wire.join(connection, group)
    joined = wire.join(connection, group, member=told.member_id)
    answer = wire.sync(connection, group, joined.generation_id, joined.member_id, assign=[joined.member_id])
    assert answer.assignment == b"for " + joined.member_id.encode()


def test_a_heartbeat_counts_only_from_a_member_of_this_generation(
    connection: wire.Connection, group: str, unique: Callable[[str], str]
) -> None:
    generation, member = _alone(connection, group)
    assert wire.heartbeat(connection, group, generation, member) == 0
    assert wire.heartbeat(connection, group, generation - 1, member) == Code.ILLEGAL_GENERATION
    assert wire.heartbeat(connection, group, generation, "somebody-else") == Code.UNKNOWN_MEMBER_ID
    assert wire.heartbeat(connection, unique("no-group"), generation, member) == Code.UNKNOWN_MEMBER_ID


def test_a_commit_counts_only_from_a_member_of_this_generation(connection: wire.Connection, make_topic: MakeTopic, group: str) -> None:
    topic = make_topic()
    generation, member = _alone(connection, group)
    assert _commit(connection, group, topic, 1, generation=generation, member=member) == 0
    assert _commit(connection, group, topic, 2, generation=generation - 1, member=member) == Code.ILLEGAL_GENERATION
    assert _commit(connection, group, topic, 3, generation=generation, member="somebody-else") == Code.UNKNOWN_MEMBER_ID
    assert _commit(connection, group, topic, 4) == Code.UNKNOWN_MEMBER_ID
    assert _committed(connection, group, topic)[:2] == (0, 1)


def test_a_group_without_members_takes_a_commit_from_anybody(connection: wire.Connection, make_topic: MakeTopic, group: str) -> None:
    topic = make_topic()
    assert _commit(connection, group, topic, 7, note="by hand") == 0
    assert _committed(connection, group, topic) == (0, 7, "by hand")


def test_an_unknown_group_has_committed_nothing(connection: wire.Connection, make_topic: MakeTopic, group: str) -> None:
    assert _committed(connection, group, make_topic())[:2] == (0, -1)


def test_a_commit_for_a_topic_that_is_not_there_is_refused(connection: wire.Connection, group: str, unique: Callable[[str], str]) -> None:
    assert _commit(connection, group, unique("absent"), 1) == Code.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("session_ms", [10, 3_600_000])
def test_a_session_that_is_too_short_or_too_long_is_refused(connection: wire.Connection, group: str, session_ms: int) -> None:
    assert wire.join(connection, group, session_ms=session_ms).error_code == Code.INVALID_SESSION_TIMEOUT


def test_a_group_needs_a_name(connection: wire.Connection) -> None:
    assert wire.join(connection, "").error_code == Code.INVALID_GROUP_ID


def test_members_need_a_protocol_in_common(connection: wire.Connection, group: str) -> None:
    _alone(connection, group)
    assert wire.join(connection, group, protocols=["other"]).error_code == Code.INCONSISTENT_GROUP_PROTOCOL


def test_a_static_member_that_comes_back_fences_the_one_before(connection: wire.Connection, group: str) -> None:
    generation, before = _alone(connection, group, instance="static")
    again = wire.join(connection, group, instance="static")
    assert again.error_code == 0
    assert again.member_id != before
    assert wire.heartbeat(connection, group, generation, before, instance="static") == Code.FENCED_INSTANCE_ID
    assert wire.heartbeat(connection, group, again.generation_id, again.member_id, instance="static") == 0


def test_a_member_hears_of_a_rebalance_in_its_heartbeat(connection: wire.Connection, broker: str, group: str) -> None:
    generation, member = _alone(connection, group)
    answers: list[Any] = []
    with wire.Connection(broker) as second:
        told = wire.join(second, group)
        waits = threading.Thread(target=lambda: answers.append(wire.join(second, group, member=told.member_id)))
        waits.start()
        code = 0
        while code == 0:
            code = wire.heartbeat(connection, group, generation, member)
        rejoined = wire.join(connection, group, member=member)
        waits.join()
    assert code == Code.REBALANCE_IN_PROGRESS
    assert rejoined.generation_id == answers[0].generation_id == generation + 1
    assert {each.member_id for each in rejoined.members} == {member, told.member_id}


def test_a_group_with_members_is_not_deleted_and_one_without_is(
    connection: wire.Connection, make_topic: MakeTopic, unique: Callable[[str], str]
) -> None:
    topic, alive, idle = make_topic(), unique("alive"), unique("idle")
    _alone(connection, alive)
    assert _commit(connection, idle, topic, 5) == 0
    codes = _deleted(connection, alive, idle, unique("absent"))
    assert codes == {alive: Code.NON_EMPTY_GROUP, idle: 0, unique("absent"): Code.GROUP_ID_NOT_FOUND}
    assert _committed(connection, idle, topic)[1] == -1


def _deleted(connection: wire.Connection, *groups: str) -> dict[str, int]:
    answer = connection.ask(DeleteGroupsRequest(groups_names=list(groups)), DeleteGroupsResponse, 2)
    return {each.group_id: each.error_code for each in answer.results}
