"""Faults to order: what tests ask of the broker so that they see how a client bears it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from stream.embedded.errors import ErrorCode

if TYPE_CHECKING:
    from stream.embedded.broker import EmbeddedBroker


T = TypeVar("T")


@dataclass(slots=True)
class _Failure:
    api: str
    code: ErrorCode
    left: int
    topic: str | None


class Faults:
    """The faults in force. Each method may be called from any thread and holds when it returns; `clear` ends them all.

    Requests are named as in the protocol: `Produce`, `Fetch`, `JoinGroup`, `OffsetCommit`, ...
    """

    def __init__(self) -> None:
        self._delays: dict[str, float] = {}
        self._failures: list[_Failure] = []
        self._drops: dict[str, int] = {}
        self._paused: set[tuple[str, int]] = set()
        self._released: asyncio.Event | None = None
        self._broker: EmbeddedBroker | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    def attach(self, broker: "EmbeddedBroker") -> None:
        """Ties the faults to a broker that has just started in this thread's loop."""
        self._broker, self._loop, self._thread = broker, asyncio.get_running_loop(), threading.get_ident()
        self._released = asyncio.Event()
        self._released.set()

    # -- to order

    def delay(self, api: str, seconds: float) -> None:
        """Every request of this kind is answered `seconds` later; 0 ends it."""
        self._delays[api] = seconds

    def fail(self, api: str, code: ErrorCode, *, times: int = 1, topic: str | None = None) -> None:
        """The next `times` requests of this kind are answered with an error, and nothing is done for them.

        Produce fails partition by partition, for `topic` alone if one is named.
        """
        self._failures.append(_Failure(api, code, times, topic))

    def fail_produce(self, code: ErrorCode, *, times: int = 1, topic: str | None = None) -> None:
        """`fail` for Produce."""
        self.fail("Produce", code, times=times, topic=topic)

    def drop_responses(self, api: str, times: int = 1) -> None:
        """The next `times` requests of this kind are carried out, but instead of an answer the connection is cut."""
        self._drops[api] = times

    @contextmanager
    def hold_acks(self) -> Iterator[None]:
        """Produced records are stored, but acknowledged only when the block ends."""
        released = self._bound()
        self._in_loop(released.clear)
        try:
            yield
        finally:
            self._in_loop(released.set)

    @contextmanager
    def pause_partition(self, topic: str, partition: int) -> Iterator[None]:
        """Until the block ends the partition takes nothing (`NOT_LEADER_OR_FOLLOWER`) and gives out nothing new."""
        self._paused.add((topic, partition))
        try:
            yield
        finally:
            self._paused.discard((topic, partition))
            self._in_loop(lambda: self._wake(topic, partition))

    def cut_connections(self, client_id: str | None = None) -> int:
        """Cuts every open connection, or those of one client id, without a word; how many there were."""
        broker = self._broker
        assert broker is not None, "the broker has not started"
        return self._in_loop(lambda: broker.connections.cut(client_id))

    def expire_member(self, group: str, member_id: str | None = None) -> None:
        """The member's session, or each one's of the group, runs out now."""
        self._in_loop(lambda: self._expire(group, member_id))

    def clear(self) -> None:
        """Ends every fault, acks held and partitions paused included."""
        self._delays.clear()
        self._failures.clear()
        self._drops.clear()
        paused, self._paused = self._paused, set()
        self._in_loop(self._bound().set)
        for topic, partition in paused:
            self._in_loop(partial(self._wake, topic, partition))

    # -- asked by the broker

    def delay_of(self, api: str) -> float:
        """Seconds by which to delay a request of this kind."""
        return self._delays.get(api, 0.0) if self._delays else 0.0

    def failure_of(self, api: str, topic: str | None = None) -> ErrorCode | None:
        """The error to answer with, if one is ordered; it counts as used."""
        for failure in self._failures:
            if failure.api == api and failure.left > 0 and failure.topic in (None, topic):
                failure.left -= 1
                return failure.code
        return None

    def drops(self, api: str) -> bool:
        """Whether to cut the connection in place of an answer; it counts as used."""
        if self._drops.get(api, 0) <= 0:
            return False
        self._drops[api] -= 1
        return True

    def paused(self, topic: str, partition: int) -> bool:
        """Whether the partition is paused."""
        return bool(self._paused) and (topic, partition) in self._paused

    async def acks_released(self) -> None:
        """Returns when acknowledgements are not held."""
        await self._bound().wait()

    # -- inside

    def _bound(self) -> asyncio.Event:
        assert self._released is not None, "the broker has not started"
        return self._released

    def _wake(self, topic: str, partition: int) -> None:
        assert self._broker is not None
        if topic in self._broker.node.topics:
            self._broker.node.topics.log(topic, partition).wake()

    def _expire(self, group_id: str, member_id: str | None) -> None:
        assert self._broker is not None
        group = self._broker.node.groups[group_id]
        for each in [member_id] if member_id else [member.id for member in group.members]:
            group.expire(each)

    def _in_loop(self, call: Callable[[], T]) -> T:
        loop = self._loop
        assert loop is not None, "the broker has not started"
        if threading.get_ident() == self._thread:
            return call()

        async def called() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(called(), loop).result(timeout=10)
