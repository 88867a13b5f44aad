"""What `subscribe` returns: the same object for a `for` and for an `async for`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self

from schemas.flag import Flag
from stream.errors import UsageError
from stream.subscribe.blocking import BlockingReader
from stream.subscribe.concurrent import AsyncReader
from stream.subscribe.held import Held
from stream.subscribe.plan import Plan
from stream.subscribe.progress import Counts, Progress


class Subscription:
    """Flags as they come. One loop at a time, blocking or asyncio; a second loop goes on where the first one stopped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._progress = Progress(plan.topic, plan.wanted, window=plan.dedupe_window, on_poison=plan.on_poison)
        self._blocking: BlockingReader | None = None
        self._async: AsyncReader | None = None
        self._closed = False
        # A close from another thread must not touch the client while it waits for records.
        self._in_client = threading.Lock()
        self._in_task = asyncio.Lock()

    # Looping

    def __iter__(self) -> Iterator[Flag]:
        """A blocking loop. Raises `BrokerError` when the broker does not answer."""
        if self._async is not None:
            raise UsageError("this subscription is used with `async for`; make another one for a blocking loop")
        with self._in_client:
            if self._blocking is None and not self._closed:
                self._blocking = reader = BlockingReader(self._plan, self._progress)
                # A loop without `with` leaves its group too when it is over, or the program ends.
                weakref.finalize(self, _let_go, reader)
            self._progress.again()
        return _Loop(self)

    def __aiter__(self) -> AsyncIterator[Flag]:
        """An asyncio loop; it connects when the first flag is asked for."""
        if self._blocking is not None:
            raise UsageError("this subscription is used with `for`; make another one for `async for`")
        if self._async is None and not self._closed:
            self._async = AsyncReader(self._plan, self._progress)
        self._progress.again()
        return _AsyncLoop(self)

    def held(self, *, limit: int = 100) -> AsyncIterator[Held]:
        """Flags to be worked on side by side, in an asyncio loop: up to `limit` at once, each done when its `done()` is called, in
        any order. An offset is committed when everything before it is done, and no more than `10 * limit` records lie between the
        first that is not done and the last handed out: so many may come again after a crash.

        When the loop has ended because of `stop`, what is still open may be finished before `aclose`, which commits it."""
        if limit < 1:
            raise UsageError("limit must be at least 1")
        aiter(self)
        return _HeldLoop(self, limit)

    def next(self) -> Flag | None:
        """The next flag; None when the subscription was closed or nothing came for `idle_timeout_s`."""
        with self._in_client:
            return None if self._blocking is None else self._blocking.next()

    def at_hand(self) -> Flag | None:
        """What `anext` would give without waiting; None where it has to look further. A coroutine less for most flags."""
        return None if self._async is None or self._in_task.locked() else self._async.ready()

    async def anext(self) -> Flag | None:
        """The same for asyncio."""
        flag = self.at_hand()
        return await self.look_further() if flag is None else flag

    async def look_further(self) -> Flag | None:
        """`anext` where nothing was at hand."""
        async with self._in_task:
            return None if self._async is None else await self._async.next()

    async def next_held(self, limit: int) -> Held | None:
        """The next flag of `held`; None when it ended."""
        async with self._in_task:
            return None if self._async is None else await self._async.next_held(limit)

    def done(self) -> None:
        """Say before the body returns that the flag in hand is done, for instance right before a `break`."""
        self._progress.done()

    # Looking

    @property
    def counts(self) -> Counts:
        """What became of the records so far."""
        return self._progress.counts

    @property
    def partitions(self) -> frozenset[int]:
        """Partitions held now; empty before the group has shared them out."""
        reader = self._blocking or self._async
        return frozenset() if reader is None else reader.partitions

    @property
    def lag(self) -> dict[int, int]:
        """Records that are not done yet, by partition, as far as the broker has told."""
        reader = self._blocking or self._async
        return {} if reader is None else reader.lag()

    # Ending

    def stop(self) -> None:
        """End the loop in good order, from a signal handler, another thread or another task: it ends when the body in hand
        has returned, or within a quarter of a second where it waits for flags. What is done is committed then."""
        self._closed = True
        reader = self._blocking or self._async
        if reader is not None:
            reader.stop()

    def close(self) -> None:
        """End it now. What is done is committed; the flag in hand, whose body did not return, comes again to the group.

        A blocking loop in another thread, or an asyncio loop, is told to `stop` instead."""
        self.stop()
        if self._blocking is not None and self._in_client.acquire(blocking=False):
            try:
                self._blocking.close()
            finally:
                self._in_client.release()

    async def aclose(self) -> None:
        """`close` for asyncio; returns when the client has left its group."""
        self.close()
        if self._async is not None:
            async with self._in_task:
                await self._async.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.aclose()


def _let_go(reader: BlockingReader) -> None:
    # Nobody is there to be told what went wrong.
    with contextlib.suppress(Exception):
        reader.close()


class _Loop:
    """A loop's iterator: apart from the subscription, so that only a new loop takes up the flag in hand again."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Flag:
        flag = self._subscription.next()
        if flag is None:
            raise StopIteration
        return flag


class _AsyncLoop:
    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Flag:
        flag = self._subscription.at_hand()
        if flag is None and (flag := await self._subscription.look_further()) is None:
            raise StopAsyncIteration
        return flag


class _HeldLoop:
    def __init__(self, subscription: Subscription, limit: int) -> None:
        self._subscription = subscription
        self._limit = limit

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Held:
        held = await self._subscription.next_held(self._limit)
        if held is None:
            raise StopAsyncIteration
        return held
