"""One consumer group: its members, and the rebalances that take it from generation to generation.

The states and what moves between them are the classic protocol's:

    Empty ──join──► PreparingRebalance ──all joined, or time up──► CompletingRebalance ──leader's assignment──► Stable
      ▲                    ▲                                               │                                     │
      └──nobody left───────┴───────────a member joins, leaves or expires───┴─────────────────────────────────────┘
"""

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

import structlog

from stream.embedded.errors import ErrorCode, Refused
from stream.embedded.settings import BrokerSettings

logger = structlog.get_logger(__name__)


class State(Enum):
    """A group's state, by the name the protocol gives it."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


@dataclass(frozen=True, kw_only=True)
class Joining:
    """What a client says of itself when it joins."""

    client_id: str
    client_host: str
    instance_id: str | None
    protocol_type: str
    protocols: dict[str, bytes]
    session_timeout_ms: int
    rebalance_timeout_ms: int


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The answer to a join: the generation, and for its leader the members to assign to."""

    member_id: str
    generation: int
    protocol: str
    leader: str
    members: dict[str, "Member"] = field(default_factory=dict)
    skip_assignment: bool = False


@dataclass(eq=False, kw_only=True)
class Member:
    """A member and what it is waiting for."""

    id: str
    about: Joining
    assignment: bytes = b""
    joining: asyncio.Future[Joined] | None = None
    syncing: asyncio.Future[bytes] | None = None
    session: asyncio.TimerHandle | None = None

    def answer_join(self, answer: Joined | Refused) -> None:
        future, self.joining = self.joining, None
        _resolve(future, answer)

    def answer_sync(self, answer: bytes | Refused) -> None:
        future, self.syncing = self.syncing, None
        _resolve(future, answer)


class Group:
    """A consumer group's members, state and generation. Used from one event loop only."""

    def __init__(self, group_id: str, settings: BrokerSettings) -> None:
        self.id = group_id
        self.state = State.EMPTY
        self.generation = 0
        self.leader = ""
        self.protocol = ""
        self.protocol_type = ""
        self.members: dict[str, Member] = {}
        self.static: dict[str, str] = {}
        self._settings = settings
        self._expected: dict[str, asyncio.TimerHandle] = {}  # member ids given out, not yet joined with
        self._timer: asyncio.TimerHandle | None = None
        self._gathering = False  # a group's first members are waited for a moment
        self._loop = asyncio.get_running_loop()

    # -- the four requests

    async def join(self, member_id: str, about: Joining, *, id_required: bool) -> Joined:
        """Joins, and returns when the rebalance that this starts or takes part in is complete."""
        self._check_protocols(member_id, about)
        if not member_id:
            known = self.static.get(about.instance_id) if about.instance_id else None
            if known is not None:
                return await self._replace_static(known, about)
            member_id = f"{about.instance_id or about.client_id}-{uuid.uuid4()}"
            if id_required and not about.instance_id:
                self._expect(member_id, about.session_timeout_ms)
                raise MemberIdRequired(member_id)
            return await self._add(member_id, about)
        if member_id in self._expected:
            self._expected.pop(member_id).cancel()
            return await self._add(member_id, about)
        member = self.member(member_id, about.instance_id)
        unchanged = member.about.protocols == about.protocols
        member.about = about
        if self.state is State.COMPLETING and unchanged:
            return self._joined(member)
        if self.state is State.STABLE and unchanged and member_id != self.leader:
            return self._joined(member)
        return await self._wait_for_rebalance(member)

    async def sync(
        self, member_id: str, generation: int, instance_id: str | None, assignments: dict[str, bytes]
    ) -> bytes:
        """The member's assignment, once the leader has given it."""
        member = self.check(member_id, generation, instance_id)
        self.heard(member)
        if self.state is State.PREPARING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
        if self.state is State.STABLE:
            return member.assignment
        if member_id == self.leader:
            self._set_timer(None)
            for each in self.members.values():
                each.assignment = assignments.get(each.id, b"")
            self.state = State.STABLE
            for each in self.members.values():
                each.answer_sync(each.assignment)
                self.heard(each)
            return member.assignment
        member.syncing = self._loop.create_future()
        return await member.syncing

    def heartbeat(self, member_id: str, generation: int, instance_id: str | None) -> None:
        self.heard(self.check(member_id, generation, instance_id))
        if self.state is State.PREPARING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)

    def leave(self, member_id: str, instance_id: str | None) -> None:
        if instance_id and not member_id:
            member_id = self.static.get(instance_id, "")
        if member_id in self._expected:
            self._expected.pop(member_id).cancel()
            return
        self._remove(self.member(member_id, instance_id), why="left")

    # -- checks

    def member(self, member_id: str, instance_id: str | None = None) -> Member:
        """A member by its id; `Refused` where there is none, or another has taken its instance id over."""
        if instance_id and instance_id in self.static and self.static[instance_id] != member_id:
            raise Refused(ErrorCode.FENCED_INSTANCE_ID)
        try:
            return self.members[member_id]
        except KeyError:
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID) from None

    def check(self, member_id: str, generation: int, instance_id: str | None) -> Member:
        member = self.member(member_id, instance_id)
        if generation != self.generation:
            raise Refused(ErrorCode.ILLEGAL_GENERATION)
        return member

    def check_commit(self, member_id: str, generation: int, instance_id: str | None) -> None:
        """`Refused` unless this client may commit offsets now."""
        if generation < 0 and self.state is State.EMPTY:
            return  # a consumer that assigns partitions to itself
        member = self.check(member_id, generation, instance_id)
        if self.state is State.COMPLETING:
            raise Refused(ErrorCode.REBALANCE_IN_PROGRESS)
        self.heard(member)

    def _check_protocols(self, member_id: str, about: Joining) -> None:
        settings = self._settings
        if not settings.min_session_timeout_ms <= about.session_timeout_ms <= settings.max_session_timeout_ms:
            raise Refused(ErrorCode.INVALID_SESSION_TIMEOUT)
        if not about.protocols or not about.protocol_type:
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        others = [each for each in self.members.values() if each.id != member_id]
        if others:
            common = set(about.protocols).intersection(*(each.about.protocols for each in others))
            if about.protocol_type != self.protocol_type or not common:
                raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if member_id not in self.members and len(self.members) >= settings.max_group_members:
            raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED)

    # -- members come and go

    def _expect(self, member_id: str, timeout_ms: int) -> None:
        forget = self._loop.call_later(timeout_ms / 1000, self._expected.pop, member_id, None)
        self._expected[member_id] = forget

    async def _add(self, member_id: str, about: Joining) -> Joined:
        if not self.members:
            self.protocol_type = about.protocol_type
        member = self.members[member_id] = Member(id=member_id, about=about)
        if about.instance_id:
            self.static[about.instance_id] = member_id
        return await self._wait_for_rebalance(member)

    async def _replace_static(self, old_id: str, about: Joining) -> Joined:
        """A static member is back under a new id: the old one is fenced, and a stable group stays as it is."""
        old = self.members.pop(old_id)
        for answer in (old.answer_join, old.answer_sync):
            answer(Refused(ErrorCode.FENCED_INSTANCE_ID))
        if old.session:
            old.session.cancel()
        assert about.instance_id
        member = Member(id=f"{about.instance_id}-{uuid.uuid4()}", about=about, assignment=old.assignment)
        self.members[member.id] = member
        self.static[about.instance_id] = member.id
        led, self.leader = self.leader == old_id, member.id if self.leader == old_id else self.leader
        if self.state is not State.STABLE or old.about.protocols != about.protocols:
            return await self._wait_for_rebalance(member)
        self.heard(member)
        # The leader is told another id, so that it takes its old assignment back and does not hand out a new one.
        return Joined(
            member_id=member.id,
            generation=self.generation,
            protocol=self.protocol,
            leader=old_id if led else self.leader,
        )

    def _remove(self, member: Member, *, why: str) -> None:
        del self.members[member.id]
        if member.about.instance_id and self.static.get(member.about.instance_id) == member.id:
            del self.static[member.about.instance_id]
        if member.session:
            member.session.cancel()
        member.answer_join(Refused(ErrorCode.UNKNOWN_MEMBER_ID))
        member.answer_sync(Refused(ErrorCode.UNKNOWN_MEMBER_ID))
        logger.info("group.member_removed", group=self.id, member=member.id, reason=why)
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        elif self.state in (State.STABLE, State.COMPLETING):
            self._prepare()

    def expire(self, member_id: str) -> None:
        """Removes a member as if its session had run out."""
        self._remove(self.member(member_id), why="expired")

    def heard(self, member: Member) -> None:
        """Starts the member's session anew."""
        if member.session:
            member.session.cancel()
        member.session = self._loop.call_later(member.about.session_timeout_ms / 1000, self._session_over, member)

    def _session_over(self, member: Member) -> None:
        if self.members.get(member.id) is not member:
            return
        if member.joining is not None or member.syncing is not None:
            self.heard(member)  # it is waiting for us
        else:
            self._remove(member, why="expired")

    # -- rebalance

    async def _wait_for_rebalance(self, member: Member) -> Joined:
        member.answer_join(Refused(ErrorCode.UNKNOWN_MEMBER_ID))  # a join sent again replaces the one before
        waiting = member.joining = self._loop.create_future()
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        else:
            self._prepare()
        return await waiting

    def _prepare(self) -> None:
        self._gathering = self.state is State.EMPTY
        for member in self.members.values():
            member.answer_sync(Refused(ErrorCode.REBALANCE_IN_PROGRESS))
            member.assignment = b""
        self.state = State.PREPARING
        if self._gathering:
            self._set_timer(self._settings.initial_rebalance_delay_s, self._complete)
            return
        timeout = max((each.about.rebalance_timeout_ms for each in self.members.values()), default=0)
        self._set_timer(timeout / 1000, self._complete)
        self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if not (self._gathering and self.members) and all(each.joining is not None for each in self.members.values()):
            self._complete()

    def _complete(self) -> None:
        """Ends the join phase with those who have joined; static members may be late until their session ends."""
        self._set_timer(None)
        self._gathering = False
        late = [each for each in self.members.values() if each.joining is None]
        for member in late:
            if not member.about.instance_id:
                self._drop_late(member)
        joined = [each for each in self.members.values() if each.joining is not None]
        if not self.members:
            self.state, self.leader, self.protocol = State.EMPTY, "", ""
            self.generation += 1
            return
        if not joined:
            self._set_timer(1.0, self._complete)
            return
        self.generation += 1
        self.state = State.COMPLETING
        if self.leader not in self.members or self.members[self.leader].joining is None:
            self.leader = joined[0].id
        self.protocol = self._vote()
        logger.info("group.generation", group=self.id, generation=self.generation, members=len(self.members))
        timeout = max(each.about.rebalance_timeout_ms for each in self.members.values())
        self._set_timer(timeout / 1000, self._sync_overdue)
        for member in joined:
            self.heard(member)
            member.answer_join(self._joined(member))

    def _drop_late(self, member: Member) -> None:
        del self.members[member.id]
        if member.session:
            member.session.cancel()
        logger.info("group.member_removed", group=self.id, member=member.id, reason="did not rejoin in time")

    def _sync_overdue(self) -> None:
        if self.state is not State.COMPLETING:
            return
        for member in [each for each in self.members.values() if each.syncing is None]:
            if member.id in self.members:
                self._remove(member, why="did not sync in time")

    def _vote(self) -> str:
        """The protocol that all members know and most prefer."""
        common = set.intersection(*(set(each.about.protocols) for each in self.members.values()))
        votes = Counter(
            next(name for name in each.about.protocols if name in common) for each in self.members.values()
        )
        return votes.most_common(1)[0][0]

    def _joined(self, member: Member) -> Joined:
        return Joined(
            member_id=member.id,
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            members=dict(self.members) if member.id == self.leader else {},
        )

    def _set_timer(self, after_s: float | None, then: object = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if after_s is not None and callable(then):
            self._timer = self._loop.call_later(after_s, then)

    def close(self) -> None:
        """Stops the group's timers."""
        self.state = State.DEAD
        self._set_timer(None)
        for handle in self._expected.values():
            handle.cancel()
        for member in self.members.values():
            if member.session:
                member.session.cancel()


class MemberIdRequired(Refused):
    """The client joins again with the id it was given here."""

    def __init__(self, member_id: str) -> None:
        super().__init__(ErrorCode.MEMBER_ID_REQUIRED)
        self.member_id = member_id


def _resolve(future: "asyncio.Future[object] | asyncio.Future[Joined] | asyncio.Future[bytes] | None", answer: object) -> None:
    if future is None or future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)  # type: ignore[arg-type]  # the two callers pass what their future holds
