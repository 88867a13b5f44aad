"""The loop of an agent: score in a thread, publish, store, acknowledge. Nothing raises out of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import structlog

from agents.isolation import dead_letter
from agents.protocol import Agent, Outcome
from schemas.codec import RawRecord
from schemas.flag import Flag
from stream import metrics
from stream.delivery import Delivery, untimed
from stream.errors import StateError
from stream.lane import Batch, Lane
from stream.record_batch import Outgoing
from stream.state import StateTable

log = structlog.get_logger(__name__)

STUCK_PAUSE_S = 1.0


class Judged(NamedTuple):
    """What a batch causes, and the records that publish it."""

    outcome: Outcome
    records: list[Outgoing]


class AgentLoop:
    """Drives one agent over its lane. `table` is where the state that the agent reads is written.

    While a batch of a stateless agent is being published the next one is scored already; acknowledgements stay in order.
    An agent with state waits, because the next batch may need what this one leaves."""

    def __init__(self, agent: Agent, lane: Lane, delivery: Delivery, table: StateTable | None, *, max_batch: int) -> None:
        self._agent = agent
        self._lane = lane
        self._delivery = delivery
        self._table = table
        self._max_batch = max_batch

    async def run(self) -> None:
        """Work until cancelled. A batch that cannot be finished is not acknowledged, and is delivered again."""
        settling: asyncio.Task[None] | None = None
        async for batch in self._lane.batches(self._max_batch):
            judged = await self._outcome(batch)
            if settling is not None:
                await settling
            settling = asyncio.create_task(self._settle(batch, judged))
            if self._table is not None or judged is None:
                await settling

    async def _outcome(self, batch: Batch) -> Judged | None:
        """What the batch causes; None when the agent raised on it."""
        try:
            return await self._judge(batch.records)
        except Exception:
            log.exception("agent.raised", topic=self._agent.topic, records=len(batch.records))
            return None

    async def _settle(self, batch: Batch, judged: Judged | None) -> None:
        """Make what the batch caused durable, then acknowledge it."""
        try:
            if judged is None:
                done = await self._one_by_one(batch)
            else:
                done = await self._finish(judged, batch.records, batch)
            if not (done and batch.ack()):
                metrics.STALE.labels(self._agent.topic).inc()
        except Exception:
            # Whatever it was, it was ours and not the records': keep them, say so, and do not spin.
            log.exception("batch.failed", topic=self._agent.topic, records=len(batch.records))
            await asyncio.sleep(STUCK_PAUSE_S)
            self._lane.consumer.rewind()
        finally:
            self._lane.release()

    async def _one_by_one(self, batch: Batch) -> bool:
        """An agent is total; should one raise all the same, the record that it fails on is found by itself. One after the
        other, each made durable, because a record may need the state that the one before it left."""
        for raw in batch.records:
            if not await self._finish(await self._judge_alone(raw), [raw], batch):
                return False
        return True

    async def _judge(self, records: Sequence[RawRecord]) -> Judged:
        return await asyncio.to_thread(self._judge_here, records)

    def _judge_here(self, records: Sequence[RawRecord]) -> Judged:
        """Judge, and serialise what is to be published: in the thread, while the broker still takes the batch before."""
        started_s = time.time()
        outcome = self._agent.handle(records, at=datetime.now(UTC))
        scored_s = time.time()
        metrics.SCORE.labels(self._agent.topic).observe(scored_s - started_s)
        timed = timing(records, started_s, scored_s, outcome.appended_ms) if outcome.flags else untimed
        return Judged(outcome, self._delivery.prepare(outcome, timed))

    async def _judge_alone(self, raw: RawRecord) -> Judged:
        try:
            return await self._judge([raw])
        except StateError:
            raise
        except Exception as error:  # noqa: BLE001 (a bug of ours must not stop the stream or lose the record)
            letter = dead_letter(raw, error_class=type(error).__name__, error_text="cannot be judged", at=datetime.now(UTC))
            outcome = Outcome(dead_letters=[letter])
            return Judged(outcome, self._delivery.prepare(outcome))

    async def _finish(self, judged: Judged, records: Sequence[RawRecord], batch: Batch) -> bool:
        """Publish, then store; False when the batch became stale meanwhile."""
        outcome = judged.outcome
        if not await self._delivery.publish(outcome, records=judged.records, stale=lambda: batch.stale):
            return False
        if self._table is not None and not await self._table.flush(outcome.state, self._delivery, stale=lambda: batch.stale):
            return False
        self._count(outcome, records)
        return True

    def _count(self, outcome: Outcome, records: Sequence[RawRecord]) -> None:
        topic = self._agent.topic
        metrics.RECORDS.labels(topic).inc(len(records))
        metrics.BATCH.labels(topic).observe(len(records))
        metrics.REDELIVERED.labels(topic).inc(outcome.redelivered)
        metrics.TOO_LATE.inc(outcome.too_late)
        metrics.DEAD_LETTERS.labels(topic).inc(len(outcome.dead_letters))
        metrics.QUEUED.labels(topic).set(self._lane.queued)
        metrics.LATENCY.labels(topic).observe(max(0.0, time.time() - records[0].timestamp_ms / 1000))
        for (label, decision), count in Counter([(flag.labels[0].name, flag.decision) for flag in outcome.flags]).items():
            metrics.FLAGS.labels(label, decision).inc(count)


def timing(
    records: Sequence[RawRecord], started_s: float, scored_s: float, elsewhere_ms: Mapping[tuple[int, int], int] | None = None
) -> Callable[[Flag], bytes]:
    """The timing of each flag of a batch, which only the driver knows, as what ends the flag's JSON: a copy of every flag to
    put a validated object into would cost as much as publishing it. `elsewhere_ms` tells when the events were appended, where
    they are not the batch's own records."""
    appended_ms = elsewhere_ms or {at[1:]: at_ms for at, _, _, at_ms, _ in records}
    started_ms, now_ms, score_ms = started_s * 1000, time.time() * 1000, max(0.0, (scored_s - started_s) * 1000)

    @cache
    def since(at_ms: int) -> bytes:
        # Records that were appended together share their time.
        return b',"timing":{"queue_ms":%.3f,"score_ms":%.3f,"total_ms":%.3f}}' % (
            max(0.0, started_ms - at_ms), score_ms, max(0.0, now_ms - at_ms),
        )

    def of(flag: Flag) -> bytes:
        event = flag.event
        return since(appended_ms[event.partition, event.offset])

    return of
