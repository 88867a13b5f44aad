"""The asyncio client of a subscription, on aiokafka."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from schemas.flag import Flag
from stream.clients import aiokafka_options
from stream.errors import BrokerError, NoBrokerError
from stream.eventlog import get_logger
from stream.subscribe.held import Held
from stream.subscribe.plan import (
    COMMIT_INTERVAL_S,
    CONNECT_TIMEOUT_S,
    CONSUMER,
    HAND_OVER_S,
    METADATA_AGE_S,
    POLL_RECORDS,
    POLL_S,
    Plan,
)
from stream.subscribe.progress import Progress

log = get_logger(__name__)

ALIVE_S = 10.0
"""A queue that takes longer to work off must not make the client leave its group (its limit is 5 minutes)."""
QUICK = 32
"""So many flags may go out before the clock is looked at."""
SPAN = 10
"""So many times the limit of held flags may lie between what is committed and the last handed out: half of it, and a commit is due."""
Given = TypeVar("Given")


class AsyncReader:
    """Feeds `progress` and commits what is done. For one task; `stop` may be called from any of the same loop."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self._quick = 0
        self._started = self._stopping = self._closed = False
        self._handing_over = False
        self._done = asyncio.Event()
        progress.on_done = self._done.set
        self._start_due = plan.start != "committed"
        self._committed_s = self._polled_s = self._looked_s = time.monotonic()
        self._consumer = AIOKafkaConsumer(**{**aiokafka_options(plan.settings), **CONSUMER, "group_id": plan.group, **plan.client})

    async def _start(self) -> None:
        self._started = True
        try:
            await asyncio.wait_for(self._consumer.start(), CONNECT_TIMEOUT_S)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise NoBrokerError(self._plan.settings.broker) from error
        if self._plan.group is not None:
            self._consumer.subscribe([self._plan.topic], listener=_Listener(self))

    @property
    def partitions(self) -> frozenset[int]:
        """Those held now."""
        return frozenset() if self._closed else frozenset(tp.partition for tp in self._consumer.assignment())

    def lag(self) -> dict[int, int]:
        """Records after the last one done, by partition, as far as known."""
        if self._closed:
            return {}
        ends = {tp.partition: self._consumer.highwater(tp) for tp in self._consumer.assignment()}
        reached = self._progress.next_offsets
        return {partition: max(0, end - reached[partition]) for partition, end in ends.items() if end is not None and partition in reached}

    def ready(self) -> Flag | None:
        """The next flag if it is at hand and nothing else is due; else None, and `next` knows more. Spares most flags an await."""
        self._quick -= 1
        if self._quick < 0 or self._stopping or self._progress.empty:
            self._quick = QUICK
            return None
        return self._progress.take()

    async def next(self) -> Flag | None:
        """The next flag; None when stopped, or when nothing came for the plan's idle time. Raises `BrokerError`."""
        flag = await self._next(self._progress.take, self._always)
        if flag is None and self._stopping:
            await self.close()
        return flag

    async def next_held(self, limit: int) -> Held | None:
        """The next flag as soon as fewer than `limit` are open; None as with `next`. Raises `BrokerError`."""
        progress = self._progress

        def room() -> bool:
            return not self._handing_over and progress.open < limit and progress.span < SPAN * limit

        if progress.reached >= SPAN // 2 * limit:
            await self._commit()
        return await self._next(progress.hold, room)

    def _always(self) -> bool:
        self._progress.done()
        return True

    async def _next(self, take: Callable[[], Given | None], room: Callable[[], bool]) -> Given | None:
        if not self._started:
            await self._start()
        heard_s = begun_s = time.monotonic()
        while not self._closed:
            roomy = room()
            if self._stopping:
                return None
            now_s = time.monotonic()
            if now_s - self._committed_s >= COMMIT_INTERVAL_S:
                await self._commit()
            settling = self._start_due
            try:
                if now_s - self._polled_s >= ALIVE_S and not self._progress.empty:
                    await self._say_alive()
                if not roomy:
                    await self._until_done(POLL_S)
                    heard_s = time.monotonic()
                    continue
                given = take()
                if given is not None:
                    return given
                records = await self._poll(timeout_s=POLL_S, limit=POLL_RECORDS)
            except KafkaError as error:
                if not getattr(error, "retriable", False):
                    raise BrokerError(f"the broker at {self._plan.settings.broker} refuses: {type(error).__name__}: {error}") from error
                log.warning("subscribe.retry", error=type(error).__name__)
                await asyncio.sleep(POLL_S)
                continue
            now_s = time.monotonic()
            if records or self._progress.open or (now_s - begun_s < CONNECT_TIMEOUT_S and (settling or self._awaiting())):
                self._progress.put(records)
                heard_s = now_s
            elif self._plan.idle_timeout_s is not None and now_s - heard_s >= self._plan.idle_timeout_s:
                await self._commit()
                return None
        return None

    def _awaiting(self) -> bool:
        """Whether something may be there of which the broker has not told yet, so that silence means nothing."""
        held = self._consumer.assignment()
        if not held:
            return self._plan.group is not None
        return not self._progress.at_end({tp.partition: self._consumer.highwater(tp) for tp in held})

    async def _until_done(self, timeout_s: float) -> None:
        """Until a held flag is done, or so long."""
        self._done.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._done.wait()

    async def _say_alive(self) -> None:
        """Tell the client that somebody still reads, without taking more records: the queue must not grow while it is full."""
        held = [tp for tp in self._consumer.assignment() if tp not in self._consumer.paused()]
        self._consumer.pause(*held)
        try:
            await self._consumer.getmany(timeout_ms=0)
        finally:
            self._consumer.resume(*(self._consumer.assignment() & set(held)))
        self._polled_s = time.monotonic()

    def stop(self) -> None:
        """End the loop: soon where it waits for records, else when the body in hand returned."""
        self._stopping = True
        self._done.set()

    async def close(self) -> None:
        """Commit what is done, and leave the group."""
        if self._closed:
            return
        held = self.partitions
        self._closed = True
        if self._started:
            await self._commit()
        await self._consumer.stop()
        if self._plan.group is not None and held:
            # kafka-python's listener is told when its consumer leaves, aiokafka's is not.
            self._plan.on_revoked(held)

    async def _poll(self, *, timeout_s: float, limit: int) -> list[Any]:
        if self._plan.group is None:
            await self._assign_all()
            if not self._consumer.assignment():
                # The topic is not there yet.
                await asyncio.sleep(POLL_S)
                return []
        fetched = await self._consumer.getmany(timeout_ms=int(timeout_s * 1000), max_records=limit)
        self._polled_s = time.monotonic()
        if self._start_due and self._consumer.assignment():
            await self._seek(list(self._consumer.assignment()), self._plan.start)
            self._start_due = False
            return []
        return [record for records in fetched.values() for record in records]

    async def _seek(self, tps: list[TopicPartition], start: str | datetime) -> None:
        offsets = await self._offsets_at(tps, start)
        for tp, offset in offsets.items():
            self._consumer.seek(tp, offset)
        # They count as reached, so that a rebalance before the first flag does not lose the place.
        self._progress.begin({tp.partition: offset for tp, offset in offsets.items()})

    async def _offsets_at(self, tps: list[TopicPartition], start: str | datetime) -> dict[TopicPartition, int]:
        if isinstance(start, datetime):
            found = await self._consumer.offsets_for_times(dict.fromkeys(tps, int(start.timestamp() * 1000)))
            end = await self._consumer.end_offsets(tps)
            return {tp: end[tp] if found.get(tp) is None else found[tp].offset for tp in tps}
        offsets: dict[TopicPartition, int] = await (
            self._consumer.end_offsets(tps) if start == "latest" else self._consumer.beginning_offsets(tps)
        )
        return offsets

    async def _assign_all(self) -> None:
        """Without a group: every partition there is, also those that are added later."""
        held = self._consumer.assignment()
        if held and time.monotonic() - self._looked_s < METADATA_AGE_S:
            return
        self._looked_s = time.monotonic()
        # aiokafka asks about the topics of its subscription only, and has no public way to ask about another.
        client = self._consumer._client
        client.add_topic(self._plan.topic)
        await client.force_metadata_update()
        found = {TopicPartition(self._plan.topic, number) for number in self._consumer.partitions_for_topic(self._plan.topic) or ()}
        if found - held:
            places = {tp: await self._consumer.position(tp) for tp in held}
            self._consumer.assign(sorted(found | held))
            for tp, place in places.items():
                self._consumer.seek(tp, place)
            if not held:
                await self._seek(sorted(found), "earliest" if self._plan.start == "committed" else self._plan.start)
                self._start_due = False
            self._plan.on_assigned(frozenset(tp.partition for tp in found - held))

    async def _commit(self) -> None:
        self._committed_s = time.monotonic()
        due = self._progress.due()
        if self._plan.group is None:
            # Nobody is told, and nothing comes again.
            self._progress.committed(due)
        elif due:
            await self._send_commit(due)

    async def _send_commit(self, due: dict[int, int]) -> None:
        try:
            await self._consumer.commit({TopicPartition(self._plan.topic, partition): offset for partition, offset in due.items()})
        except KafkaError as error:
            # Ours no longer, or the broker is away: at worst the flags come again.
            log.warning("subscribe.commit_failed", error=type(error).__name__)
        else:
            self._progress.committed(due)

    async def revoked(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions go to another member, while a body may be at work: its flag may come again there. Held flags are given a
        moment."""
        self._handing_over = True
        try:
            until_s = time.monotonic() + HAND_OVER_S
            while self._progress.open and time.monotonic() < until_s and not self._closed:
                await self._until_done(POLL_S)
        finally:
            self._handing_over = False
        due = self._progress.due()
        self._progress.drop()
        if due:
            await self._send_commit(due)
        if tps:
            self._plan.on_revoked(frozenset(tp.partition for tp in tps))

    def assigned(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions were given to this member."""
        self._plan.on_assigned(frozenset(tp.partition for tp in tps))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    def __init__(self, reader: AsyncReader) -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._reader.revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._reader.assigned(assigned)
