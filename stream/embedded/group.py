"""One consumer group: the rebalances that take its members from generation to generation.

The states and what moves between them are the classic protocol's:

    Empty ──join──► PreparingRebalance ──all joined, or time up──► CompletingRebalance ──leader's assignment──► Stable
      ▲                    ▲                                               │                                     │
      └──nobody left───────┴───────────a member joins, leaves or expires───┴─────────────────────────────────────┘
"""

import asyncio
import uuid
from collections.abc import Callable
from enum import Enum

from stream.embedded.errors import ErrorCode, MemberIdRequiredError, RefusedError
from stream.embedded.roster import Joined, Joining, Member, Roster
from stream.embedded.settings import BrokerSettings
from stream.eventlog import get_logger

logger = get_logger(__name__)

_LATE_STATIC_S = 1.0  # between looks at a group whose members are all static and have yet to join again


class State(Enum):
    """A group's state, by the name the protocol gives it."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class Group:
    """A consumer group's members, state and generation. Used from one event loop only."""

    def __init__(self, group_id: str, settings: BrokerSettings) -> None:
        self.id = group_id
        self.state = State.EMPTY
        self.generation = 0
        self.leader = ""
        self.protocol = ""
        self.protocol_type = ""
        self.members = Roster(on_silence=lambda member: self._remove(member, why="expired"))
        self._settings = settings
        self._timer: asyncio.TimerHandle | None = None
        self._gather_until = 0.0  # a group's first members are waited for: a moment after each, and so long at most
        self._loop = asyncio.get_running_loop()

    # -- requests

    async def join(self, member_id: str, about: Joining, *, id_required: bool) -> Joined:
        """Joins, and returns when the rebalance that this starts or takes part in has all its members."""
        self._check_joining(member_id, about)
        if not member_id:
            known = self.members.static(about.instance_id)
            if known is not None:
                return await self._return_static(known, about)
            member_id = f"{about.instance_id or about.client_id}-{uuid.uuid4()}"
            if id_required and not about.instance_id:
                self.members.expect(member_id, about.session_timeout_ms)
                raise MemberIdRequiredError(member_id)
            return await self._add(member_id, about)
        if self.members.forget(member_id):
            return await self._add(member_id, about)
        member = self.members.find(member_id, about.instance_id)
        unchanged = member.about.protocols == about.protocols
        member.about = about
        settled = self.state is State.STABLE and member_id != self.leader
        if unchanged and (settled or self.state is State.COMPLETING):
            self.members.heard(member)
            return self._joined(member)
        return await self._wait_for_rebalance(member)

    async def sync(self, member_id: str, generation: int, instance_id: str | None, assignments: dict[str, bytes]) -> bytes:
        """The member's assignment, once the leader has given it."""
        member = self.check(member_id, generation, instance_id)
        self.members.heard(member)
        if self.state is State.PREPARING:
            raise RefusedError(ErrorCode.REBALANCE_IN_PROGRESS)
        if self.state is State.STABLE:
            return member.assignment
        if member_id == self.leader:
            self._settle(assignments)
            return member.assignment
        member.syncing = self._loop.create_future()
        return await member.syncing

    def heartbeat(self, member_id: str, generation: int, instance_id: str | None) -> None:
        """Keeps the member's session alive; `RefusedError` tells it to join again."""
        self.members.heard(self.check(member_id, generation, instance_id))
        if self.state is State.PREPARING:
            raise RefusedError(ErrorCode.REBALANCE_IN_PROGRESS)

    def leave(self, member_id: str, instance_id: str | None) -> None:
        """Takes a member off at its own wish."""
        if self.members.forget(member_id):
            return
        static = self.members.static(instance_id)
        member = static if static and not member_id else self.members.find(member_id, instance_id)
        self._remove(member, why="left")

    def expire(self, member_id: str) -> None:
        """Removes a member as if its session had run out."""
        self._remove(self.members.find(member_id, None), why="expired")

    # -- checks

    def check(self, member_id: str, generation: int, instance_id: str | None) -> Member:
        """The member, if it is of the present generation; `RefusedError` where not."""
        member = self.members.find(member_id, instance_id)
        if generation != self.generation:
            raise RefusedError(ErrorCode.ILLEGAL_GENERATION)
        return member

    def check_commit(self, member_id: str, generation: int, instance_id: str | None) -> None:
        """`RefusedError` unless this client may commit offsets now."""
        if generation < 0 and self.state is State.EMPTY:
            return  # a consumer that assigns partitions to itself
        member = self.check(member_id, generation, instance_id)
        if self.state is State.COMPLETING:
            raise RefusedError(ErrorCode.REBALANCE_IN_PROGRESS)
        self.members.heard(member)

    def _check_joining(self, member_id: str, about: Joining) -> None:
        settings = self._settings
        if not settings.min_session_timeout_ms <= about.session_timeout_ms <= settings.max_session_timeout_ms:
            raise RefusedError(ErrorCode.INVALID_SESSION_TIMEOUT)
        if not about.protocols or not about.protocol_type:
            raise RefusedError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if not self.members.agree_with(about, besides=member_id):
            raise RefusedError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if member_id not in self.members and len(self.members) >= settings.max_group_members:
            raise RefusedError(ErrorCode.GROUP_MAX_SIZE_REACHED)

    # -- members come and go

    async def _add(self, member_id: str, about: Joining) -> Joined:
        if not len(self.members):
            self.protocol_type = about.protocol_type
        member = Member(id=member_id, about=about)
        self.members.add(member)
        return await self._wait_for_rebalance(member)

    async def _return_static(self, old: Member, about: Joining) -> Joined:
        """A static member is back under a new id: the old one is fenced, and a stable group stays as it is."""
        member = Member(id=f"{about.instance_id}-{uuid.uuid4()}", about=about, assignment=old.assignment)
        self.members.remove(old, ErrorCode.FENCED_INSTANCE_ID)
        self.members.add(member)
        led = self.leader == old.id
        if led:
            self.leader = member.id
        if self.state is not State.STABLE or old.about.protocols != about.protocols:
            return await self._wait_for_rebalance(member)
        self.members.heard(member)
        # A returning leader is told another's id, so that it takes its assignment back and does not hand out new ones.
        leader = old.id if led else self.leader
        return Joined(member_id=member.id, generation=self.generation, protocol=self.protocol, leader=leader)

    def _remove(self, member: Member, *, why: str) -> None:
        self.members.remove(member)
        logger.info("group.member_removed", group=self.id, member=member.id, reason=why)
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        elif self.state in (State.STABLE, State.COMPLETING):
            self._prepare()

    # -- rebalance

    async def _wait_for_rebalance(self, member: Member) -> Joined:
        member.answer_join(RefusedError(ErrorCode.UNKNOWN_MEMBER_ID))  # a join sent again replaces the one before
        waiting: asyncio.Future[Joined] = self._loop.create_future()
        member.joining = waiting
        if self.state is State.PREPARING:
            self._complete_if_all_joined()
        else:
            self._prepare()
        return await waiting

    def _prepare(self) -> None:
        """Begins the join phase."""
        first, self.state = self.state is State.EMPTY, State.PREPARING
        for member in self.members:
            member.answer_sync(RefusedError(ErrorCode.REBALANCE_IN_PROGRESS))
        if first:
            self._gather_until = self._loop.time() + self.members.rebalance_timeout_s
        else:
            self._after(self.members.rebalance_timeout_s, self._complete)
        self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if any(each.joining is None for each in self.members):
            return
        more_s = min(self._settings.initial_rebalance_delay_s, self._gather_until - self._loop.time())
        if more_s > 0 and len(self.members):
            self._after(more_s, self._complete)
        else:
            self._complete()

    def _complete(self) -> None:
        """Ends the join phase with those who have joined; static members may be late until their session ends."""
        self._gather_until = 0.0
        self._after(None)
        for member in self.members:
            if member.joining is None and not member.about.instance_id:
                self.members.remove(member)
                logger.info("group.member_removed", group=self.id, member=member.id, reason="did not rejoin in time")
        joined = [each for each in self.members if each.joining is not None]
        if not joined and len(self.members):
            self._after(_LATE_STATIC_S, self._complete)
            return
        self.generation += 1
        if not joined:
            self.state, self.leader, self.protocol = State.EMPTY, "", ""
            return
        self.state = State.COMPLETING
        if self.leader not in {each.id for each in joined}:
            self.leader = joined[0].id
        self.protocol = self.members.vote()
        logger.info("group.generation", group=self.id, generation=self.generation, members=len(self.members))
        self._after(self.members.rebalance_timeout_s, self._sync_overdue)
        for member in joined:
            self.members.heard(member)
            member.answer_join(self._joined(member))

    def _settle(self, assignments: dict[str, bytes]) -> None:
        """The leader has assigned: everybody gets their share."""
        self._after(None)
        self.state = State.STABLE
        for member in self.members:
            member.assignment = assignments.get(member.id, b"")
            if member.syncing is not None:
                self.members.heard(member)
                member.answer_sync(member.assignment)

    def _sync_overdue(self) -> None:
        for member in [each for each in self.members if each.syncing is None]:
            self._remove(member, why="did not sync in time")

    def _joined(self, member: Member) -> Joined:
        members = tuple(self.members) if member.id == self.leader else ()
        return Joined(
            member_id=member.id,
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            members=members,
        )

    def _after(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Sets the group's one timer anew, or stops it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then) if seconds is not None and then else None

    def close(self) -> None:
        """Stops the group's timers and refuses who waits."""
        self.state = State.DEAD
        self._after(None)
        self.members.close()
