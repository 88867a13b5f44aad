"""Consumer groups keep the classic protocol: members are numbered, fenced, expired and waited for."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.protocol.admin import DeleteGroupsRequest, DescribeGroupsRequest, ListGroupsRequest
from kafka.protocol.consumer import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    SyncGroupRequest,
)
from kafka.protocol.metadata import MetadataRequest

from stream.embedded import BrokerSettings, EmbeddedBroker, ErrorCode, running_broker

SESSION_MS, REBALANCE_MS = 600, 1500
Opening = Callable[..., Any]


@pytest.fixture
def broker(tmp_path: Path, quick: BrokerSettings) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path / "data", settings=quick) as running:
        yield running


class Joiner:
    """A member of the group `g` that does what it is told and nothing by itself."""

    def __init__(self, wire: Any, instance: str | None = None, protocols: tuple[str, ...] = ("range",)) -> None:
        self.wire, self.instance, self.protocols = wire, instance, protocols
        self.id, self.generation, self.leads = "", -1, False

    def join(self, *, session_ms: int = SESSION_MS, version: int = 5) -> Any:
        joined = self.wire.ask(self.join_request(session_ms), version)
        if joined.error_code == ErrorCode.MEMBER_ID_REQUIRED:
            self.id = joined.member_id
            joined = self.wire.ask(self.join_request(session_ms), version)
        if joined.error_code == 0:
            self.id, self.generation, self.leads = joined.member_id, joined.generation_id, joined.leader == joined.member_id
        return joined

    def join_request(self, session_ms: int = SESSION_MS) -> Any:
        protocol = JoinGroupRequest.JoinGroupRequestProtocol
        return JoinGroupRequest(
            group_id="g",
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=REBALANCE_MS,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type="consumer",
            protocols=[protocol(name=name, metadata=name.encode()) for name in self.protocols],
        )

    def sync(self, shares: dict[str, bytes] | None = None) -> Any:
        share = SyncGroupRequest.SyncGroupRequestAssignment
        assignments = [share(member_id=member, assignment=given) for member, given in (shares or {}).items()]
        request = SyncGroupRequest(
            group_id="g",
            generation_id=self.generation,
            member_id=self.id,
            group_instance_id=self.instance,
            assignments=assignments,
        )
        return self.wire.ask(request, 3)

    def beat(self) -> ErrorCode:
        request = HeartbeatRequest(group_id="g", generation_id=self.generation, member_id=self.id, group_instance_id=self.instance)
        return ErrorCode(self.wire.ask(request, 3).error_code)

    def commit(self, offset: int) -> ErrorCode:
        topic = OffsetCommitRequest.OffsetCommitRequestTopic
        part = topic.OffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="m")
        request = OffsetCommitRequest(
            group_id="g",
            generation_id_or_member_epoch=self.generation,
            member_id=self.id,
            group_instance_id=self.instance,
            topics=[topic(name="t", partitions=[part])],
        )
        return ErrorCode(self.wire.ask(request, 7).topics[0].partitions[0].error_code)

    def leave(self) -> Any:
        member = LeaveGroupRequest.MemberIdentity(member_id=self.id, group_instance_id=self.instance)
        return self.wire.ask(LeaveGroupRequest(group_id="g", members=[member]), 3)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returns when all are made together; the first begins first."""
    results: list[Any] = [None] * len(calls)

    def run(index: int) -> None:
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    return results


def settled(broker: EmbeddedBroker, connect: Opening, count: int, **about: Any) -> list[Joiner]:
    """So many members of a stable group, the leader first."""
    members = [Joiner(connect(broker, f"c{i}"), **about) for i in range(count)]
    at_once(*(member.join for member in members))
    members.sort(key=lambda member: not member.leads)
    shares = {member.id: b"share of %d" % i for i, member in enumerate(members)}
    synced = at_once(*(lambda member=member: member.sync(shares if member.leads else None) for member in members))
    assert [each.assignment for each in synced] == list(shares.values())
    return members


def test_a_first_join_is_given_an_id_to_join_with(broker: EmbeddedBroker, connect: Opening) -> None:
    member = Joiner(connect(broker))
    first = member.wire.ask(member.join_request(), 5)
    assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
    assert first.member_id.startswith("wire-")
    member.id = first.member_id
    joined = member.wire.ask(member.join_request(), 5)
    assert (joined.error_code, joined.member_id, joined.leader) == (0, first.member_id, first.member_id)
    assert [(each.member_id, each.metadata) for each in joined.members] == [(first.member_id, b"range")]


def test_members_that_start_together_share_one_generation(broker: EmbeddedBroker, connect: Opening) -> None:
    members = settled(broker, connect, 3)
    assert {member.generation for member in members} == {1}
    assert [member.beat() for member in members] == [ErrorCode.NONE] * 3


def test_a_newcomer_makes_the_others_join_again(broker: EmbeddedBroker, connect: Opening) -> None:
    old = settled(broker, connect, 1)[0]
    new = Joiner(connect(broker, "new"))

    def rejoin() -> Any:
        while old.beat() is not ErrorCode.REBALANCE_IN_PROGRESS:
            time.sleep(0.02)
        return old.join()

    answers = at_once(rejoin, new.join)
    assert [each.generation_id for each in answers] == [2, 2]
    assert len(answers[0].members) == 2
    assert answers[1].members == []


def test_who_does_not_join_again_in_time_is_left_behind(broker: EmbeddedBroker, connect: Opening) -> None:
    late = settled(broker, connect, 1)[0]
    new = Joiner(connect(broker, "new"))
    began = time.monotonic()
    joined = new.join(session_ms=5_000)
    assert 0.4 < time.monotonic() - began < REBALANCE_MS / 1000 + 1
    assert [each.member_id for each in joined.members] == [new.id]
    assert late.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_silent_members_session_expires_and_a_beating_one_lives(broker: EmbeddedBroker, connect: Opening) -> None:
    beating, silent = settled(broker, connect, 2)
    deadline = time.monotonic() + SESSION_MS / 1000 + 1
    codes = set()
    while time.monotonic() < deadline and ErrorCode.REBALANCE_IN_PROGRESS not in codes:
        codes.add(beating.beat())
        time.sleep(0.05)
    assert codes == {ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS}
    assert [each.member_id for each in beating.join().members] == [beating.id]
    assert silent.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert silent.commit(5) is ErrorCode.UNKNOWN_MEMBER_ID


def test_an_older_generation_is_fenced(broker: EmbeddedBroker, connect: Opening) -> None:
    member = settled(broker, connect, 1)[0]
    assert member.commit(3) is ErrorCode.NONE
    member.join()
    assert member.commit(4) is ErrorCode.REBALANCE_IN_PROGRESS
    member.sync({member.id: b""})
    member.generation -= 1
    assert member.beat() is ErrorCode.ILLEGAL_GENERATION
    assert member.commit(5) is ErrorCode.ILLEGAL_GENERATION
    assert member.sync().error_code == ErrorCode.ILLEGAL_GENERATION
    assert committed(connect(broker)) == 3


def committed(wire: Any) -> int:
    topic = OffsetFetchRequest.OffsetFetchRequestTopic(name="t", partition_indexes=[0])
    answer = wire.ask(OffsetFetchRequest(group_id="g", topics=[topic]), 5)
    return int(answer.topics[0].partitions[0].committed_offset)


@pytest.fixture(autouse=True)
def topic_t(broker: EmbeddedBroker, connect: Opening) -> None:
    topics = [MetadataRequest.MetadataRequestTopic(name="t")]
    connect(broker).ask(MetadataRequest(topics=topics, allow_auto_topic_creation=True), 5)


def test_a_static_member_that_returns_keeps_its_share_without_a_rebalance(broker: EmbeddedBroker, connect: Opening) -> None:
    first = Joiner(connect(broker), instance="i1")
    first.join()
    first.sync({first.id: b"all of it"})
    again = Joiner(connect(broker), instance="i1")
    joined = again.join()
    assert (joined.error_code, joined.generation_id) == (0, first.generation)
    assert again.id != first.id
    assert not again.leads
    assert again.sync().assignment == b"all of it"
    assert first.beat() is ErrorCode.FENCED_INSTANCE_ID
    assert first.commit(1) is ErrorCode.FENCED_INSTANCE_ID
    assert again.commit(1) is ErrorCode.NONE


def test_a_member_that_leaves_frees_its_place_at_once(broker: EmbeddedBroker, connect: Opening) -> None:
    stays, leaves = settled(broker, connect, 2)
    assert leaves.leave().members[0].error_code == 0
    assert stays.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert [each.member_id for each in stays.join().members] == [stays.id]
    assert leaves.leave().members[0].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_the_protocol_all_members_know_is_chosen_and_others_are_refused(broker: EmbeddedBroker, connect: Opening) -> None:
    members = [Joiner(connect(broker), protocols=("a", "b")), Joiner(connect(broker), protocols=("b", "c"))]
    answers = at_once(*(member.join for member in members))
    assert [each.protocol_name for each in answers] == ["b", "b"]
    assert Joiner(connect(broker), protocols=("c",)).join().error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_sessions_outside_the_bounds_are_refused(broker: EmbeddedBroker, connect: Opening) -> None:
    assert Joiner(connect(broker)).join(session_ms=10).error_code == ErrorCode.INVALID_SESSION_TIMEOUT


def test_offsets_survive_a_restart(tmp_path: Path, quick: BrokerSettings, connect: Opening) -> None:
    for expected in (-1, 1000, 2000):
        with running_broker(tmp_path / "kept", settings=quick) as broker:
            wire = connect(broker)
            topics = [MetadataRequest.MetadataRequestTopic(name="t")]
            wire.ask(MetadataRequest(topics=topics, allow_auto_topic_creation=True), 5)
            assert committed(wire) == expected
            member = settled(broker, connect, 1)[0]
            for offset in range(max(expected, 0), max(expected, 0) + 1001, 100):
                assert member.commit(offset) is ErrorCode.NONE


def test_groups_are_listed_described_and_deleted_when_empty(broker: EmbeddedBroker, connect: Opening) -> None:
    member, wire = settled(broker, connect, 1)[0], connect(broker)
    member.commit(1)
    listed = wire.ask(ListGroupsRequest(states_filter=["Stable"]), 4).groups
    assert [(each.group_id, each.protocol_type, each.group_state) for each in listed] == [("g", "consumer", "Stable")]
    (described,) = wire.ask(DescribeGroupsRequest(groups=["g"]), 4).groups
    assert described.group_state == "Stable"
    (about,) = described.members
    assert (about.member_id, about.client_id, about.member_assignment) == (member.id, "c0", b"share of 0")
    delete = DeleteGroupsRequest(groups_names=["g"])
    assert wire.ask(delete, 1).results[0].error_code == ErrorCode.NON_EMPTY_GROUP
    member.leave()
    assert wire.ask(delete, 1).results[0].error_code == 0
    assert wire.ask(delete, 1).results[0].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert committed(wire) == -1
