"""The fast lane: whole fetches of a topic go to its agent as batches, at a raw client's speed.

`stream.consumer` queues the records of a fetch as they come, and `Lane.batches` hands them out. What holds, whatever happens in
between:
- Batches of a partition are acknowledged in order, so its committable offset is the one after the last acknowledged.
- An epoch separates what was fetched before a seek or a rebalance from what comes after. Batches of an older epoch are
  dropped or, if already in hand, refuse their ack; their records are delivered again from the committed offset.
- When a fetch has to be discarded the lane seeks back, because the client has moved its position past it.
- Memory is bounded: a lane that holds `MAX_QUEUED` records pauses its partitions.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from faust.types import TP

from schemas.codec import RawRecord

if TYPE_CHECKING:
    from stream.consumer import LaneConsumer

MAX_QUEUED = 8_000
"""Records that a lane holds before its partitions are paused."""

class Fetch(NamedTuple):
    """What came of a partition at once."""

    epoch: int
    tp: TP
    records: list[RawRecord]


class Batch:
    """Records of one epoch, in order for each partition."""

    __slots__ = ("_ends", "_epoch", "_lane", "records")

    def __init__(self, lane: Lane, epoch: int) -> None:
        self._lane = lane
        self._epoch = epoch
        self._ends: dict[TP, int] = {}
        self.records: list[RawRecord] = []

    def add(self, tp: TP, records: list[RawRecord]) -> None:
        """Append `records` of `tp`, which follow those already there."""
        self._ends[tp] = records[-1].offset + 1
        self.records += records

    @property
    def stale(self) -> bool:
        """The partitions were revoked or sought back meanwhile: the records come again, here or elsewhere."""
        return self._epoch != self._lane.consumer.epoch

    def ack(self) -> bool:
        """Let the offsets be committed; False when the batch is stale. Call it when all it caused is safe."""
        if self.stale:
            return False
        self._lane.consumer.done.update(self._ends)
        return True


class Lane:
    """The queue between the fetcher and one agent. `topic` is the name on the wire."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.consumer: LaneConsumer  # set when Faust creates the consumer
        self._fetches: deque[Fetch] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def queued(self) -> int:
        """Records that are waiting."""
        return self._queued

    @property
    def idle(self) -> bool:
        """Nothing is waiting and nothing is in hand."""
        return not self._queued and not self._in_hand

    @property
    def full(self) -> bool:
        """No further fetch should be queued."""
        return self._queued >= MAX_QUEUED

    def put(self, fetch: Fetch) -> None:
        """Queue a fetch."""
        self._fetches.append(fetch)
        self._queued += len(fetch.records)
        self._arrived.set()

    def clear(self) -> None:
        """Forget what is queued; it will be delivered again."""
        self._fetches.clear()
        self._queued = 0

    async def until_idle(self, timeout_s: float) -> bool:
        """Wait until no batch is in hand; False when that took longer."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def batches(self, max_batch: int) -> AsyncIterator[Batch]:
        """Batches of up to `max_batch` records, without end; `release` must be called once for each. A batch never waits to
        grow: while one is being worked on records queue up, so batches are small at low load and large under load."""
        while True:
            if not self._fetches:
                self._arrived.clear()
                await self._arrived.wait()
            batch = self._take(max_batch)
            if not batch.records:
                continue
            self._in_hand += 1
            self._idle.clear()
            yield batch

    def release(self) -> None:
        """A batch is done with, whether it was acknowledged or not."""
        self._in_hand -= 1
        if not self._in_hand:
            self._idle.set()

    def _take(self, max_batch: int) -> Batch:
        batch = Batch(self, self.consumer.epoch)
        room = max_batch
        while room and self._fetches:
            epoch, tp, records = self._fetches.popleft()
            taken = records[:room]
            self._queued -= len(taken)
            if len(records) > room:
                self._fetches.appendleft(Fetch(epoch, tp, records[room:]))
            if epoch == self.consumer.epoch:
                batch.add(tp, taken)
                room -= len(taken)
        if not self.full:
            self.consumer.resume_lane(self.topic)
        return batch
