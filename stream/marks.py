"""How far the inputs are, told to the keepers of terminals: that everything appended up to a moment was read and sent on.

A transaction waits for its hour to close, which the clocks of busy partitions do by themselves. For one in which nothing
happens, and for verdicts, somebody has to say that there is no more: each worker does so for the partitions that it reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

import structlog
from faust.types import TP

from agents.visits import Mark, pack_mark
from stream.consumer import LaneConsumer
from stream.delivery import Delivery
from stream.lane import Lane
from stream.record_batch import Outgoing

log = structlog.get_logger(__name__)

PAUSE_S = 0.25
QUIET_PAUSE_S = 5.0
QUIET_AFTER_S = 30.0
"""With nothing new for so long, marks are made less often."""
GRACE_S = 1.0
"""Records are stamped when they are made and appended a little later: a mark speaks for a moment that lies so long back."""
MARKS_PER_S = 200.0
"""About how many marks a worker writes at most."""


class _Sample(NamedTuple):
    """Where a partition ended at a moment, and of which epoch of the lane that was."""

    epoch: int
    taken_s: float
    end: int


class Marker:
    """Marks the progress of this worker's partitions of `lanes` (with their channels), for `partitions` keepers of terminals.

    `topic` is the name of theirs on the wire."""

    def __init__(self, lanes: Mapping[Lane, int], delivery: Delivery, *, topic: str, partitions: int) -> None:
        self._lanes = dict(lanes)
        self._delivery = delivery
        self._topic = topic
        self._keepers = range(partitions)
        self._samples: dict[TP, _Sample] = {}
        self._ends: dict[TP, int] = {}
        self._news_s = time.monotonic()

    async def run(self) -> None:
        """Work until cancelled; an outage only delays marks."""
        while True:
            written = 0
            try:
                written = await self._mark()
            except Exception as error:  # noqa: BLE001 (whatever the client raises in an outage or a rebalance: the next round tries again)
                log.info("marks.delayed", error=type(error).__name__)
            quiet = time.monotonic() - self._news_s > QUIET_AFTER_S
            await asyncio.sleep(max(QUIET_PAUSE_S if quiet else PAUSE_S, written / MARKS_PER_S))

    async def _mark(self) -> int:
        """One round: see where partitions end, and mark those that were read to where they ended; how many were written."""
        consumer = self._consumer()
        if consumer is None or not consumer.flow_active:
            return 0
        epoch, channels = consumer.epoch, {lane.topic: channel for lane, channel in self._lanes.items()}
        places = [tp for tp in consumer.assignment() if tp.topic in channels]
        fresh = [tp for tp in places if tp not in self._samples or self._samples[tp].epoch != epoch]
        if fresh:
            taken_s = time.time()
            for tp, end in (await consumer.highwaters(*fresh)).items():
                self._samples[tp] = _Sample(epoch, taken_s, end)
                if end != self._ends.get(tp):
                    self._ends[tp], self._news_s = end, time.monotonic()
        records = []
        for tp in places:
            sample = self._samples.get(tp)
            if sample is None or sample.epoch != consumer.epoch or self._acknowledged(consumer, tp) < sample.end:
                continue
            del self._samples[tp]
            value = pack_mark(Mark(channels[tp.topic], tp.partition, complete_ms=int((sample.taken_s - GRACE_S) * 1000)))
            records += [Outgoing(self._topic, None, value, partition=keeper) for keeper in self._keepers]
        if records:
            await self._delivery.persist(records, stale=lambda: consumer.epoch != epoch)
        return len(records)

    def _consumer(self) -> LaneConsumer | None:
        # Lanes get theirs when Faust has made it.
        return next((found for lane in self._lanes if (found := getattr(lane, "consumer", None)) is not None), None)

    @staticmethod
    def _acknowledged(consumer: LaneConsumer, tp: TP) -> int:
        return consumer.done.get(tp) or consumer._committed_offset[tp] or 0

