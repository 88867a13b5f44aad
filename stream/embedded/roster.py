"""A consumer group's members: who they are, what they wait for, and how long their sessions last."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from stream.embedded.errors import ErrorCode, RefusedError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Joining:
    """What a client says of itself when it joins; `protocols` in its order of preference."""

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
    members: tuple["Member", ...] = ()


@dataclass(eq=False, kw_only=True)
class Member:
    """A member, what it is waiting for, and the timer that ends its session."""

    id: str
    about: Joining
    assignment: bytes = b""
    joining: asyncio.Future[Joined] | None = None
    syncing: asyncio.Future[bytes] | None = None
    session: asyncio.TimerHandle | None = field(default=None, repr=False)

    def answer_join(self, answer: Joined | RefusedError) -> None:
        """Answers the join it waits on, if any."""
        future, self.joining = self.joining, None
        _resolve(future, answer)

    def answer_sync(self, answer: bytes | RefusedError) -> None:
        """Answers the sync it waits on, if any."""
        future, self.syncing = self.syncing, None
        _resolve(future, answer)


def _resolve(future: asyncio.Future[T] | None, answer: T | RefusedError) -> None:
    if future is None or future.done():
        return
    if isinstance(answer, RefusedError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class Roster:
    """Members by id and by instance id. `on_silence` is told of a member whose session has run out."""

    def __init__(self, on_silence: Callable[[Member], None]) -> None:
        self._members: dict[str, Member] = {}
        self._static: dict[str, str] = {}
        self._expected: dict[str, asyncio.TimerHandle] = {}
        self._on_silence = on_silence
        self._loop = asyncio.get_running_loop()

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member_id: str) -> bool:
        return member_id in self._members

    @property
    def is_idle(self) -> bool:
        """Whether there is neither a member nor a client that has been given an id to join with."""
        return not self._members and not self._expected

    @property
    def rebalance_timeout_s(self) -> float:
        """How long the members may take to join again."""
        return max((each.about.rebalance_timeout_ms for each in self), default=0) / 1000

    def agree_with(self, about: Joining, *, besides: str) -> bool:
        """Whether a client could be a member together with all members but the one of id `besides`."""
        others = [each.about for each in self if each.id != besides]
        kinds = {each.protocol_type for each in others}
        return not others or (
            kinds == {about.protocol_type} and bool(set(about.protocols).intersection(*(each.protocols for each in others)))
        )

    def vote(self) -> str:
        """The protocol that all members know and most prefer."""
        common = set.intersection(*(set(each.about.protocols) for each in self))
        votes = Counter(next(name for name in each.about.protocols if name in common) for each in self)
        return votes.most_common(1)[0][0]

    def find(self, member_id: str, instance_id: str | None) -> Member:
        """A member by its id; `RefusedError` where there is none, or another has taken its instance id over."""
        if instance_id and self._static.get(instance_id, member_id) != member_id:
            raise RefusedError(ErrorCode.FENCED_INSTANCE_ID)
        try:
            return self._members[member_id]
        except KeyError:
            raise RefusedError(ErrorCode.UNKNOWN_MEMBER_ID) from None

    def static(self, instance_id: str | None) -> Member | None:
        """The member that holds an instance id."""
        return self._members.get(self._static.get(instance_id, "")) if instance_id else None

    def add(self, member: Member) -> None:
        """Takes a member on; one with an instance id holds that id from now on."""
        self._members[member.id] = member
        if member.about.instance_id:
            self._static[member.about.instance_id] = member.id

    def remove(self, member: Member, code: ErrorCode = ErrorCode.UNKNOWN_MEMBER_ID) -> None:
        """Takes a member off; what it waits for is answered with `code`."""
        del self._members[member.id]
        if member.about.instance_id and self._static.get(member.about.instance_id) == member.id:
            del self._static[member.about.instance_id]
        if member.session:
            member.session.cancel()
        member.answer_join(RefusedError(code))
        member.answer_sync(RefusedError(code))

    def expect(self, member_id: str, timeout_ms: int) -> None:
        """A client has been told to join with this id, and may for so long."""
        self._expected[member_id] = self._loop.call_later(timeout_ms / 1000, self.forget, member_id)

    def forget(self, member_id: str) -> bool:
        """Whether a client was expected to join with this id; now it no longer is."""
        handle = self._expected.pop(member_id, None)
        if handle is not None:
            handle.cancel()
        return handle is not None

    def heard(self, member: Member) -> None:
        """Starts the member's session anew."""
        if member.session:
            member.session.cancel()
        member.session = self._loop.call_later(member.about.session_timeout_ms / 1000, self._session_over, member)

    def _session_over(self, member: Member) -> None:
        if self._members.get(member.id) is not member:
            return
        if member.joining is not None or member.syncing is not None:
            self.heard(member)  # it is the one that waits, for the others
        else:
            self._on_silence(member)

    def close(self) -> None:
        """Ends all sessions and refuses who waits."""
        for handle in self._expected.values():
            handle.cancel()
        for member in self:
            self.remove(member, ErrorCode.COORDINATOR_NOT_AVAILABLE)
