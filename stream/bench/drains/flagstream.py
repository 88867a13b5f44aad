"""Flagstream's own worker: fast lane, agent loop, delivery and, for transactions, the state table."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import faust

from agents.protocol import Agent, Outcome, State
from schemas.codec import RawRecord
from schemas.labels import Kind
from stream import collector, topics
from stream.app import Registration, build_app
from stream.bench.job import TOPICS, Drained, Job, Meter
from stream.bench.passthrough import PassthroughAgent
from stream.publisher import new_producer
from stream.settings import Settings, load
from stream.worker import registrations

NAME = "flagstream"
WHAT = "the worker: fast lane, a flag an event, acknowledged after the broker has them"

PASSTHROUGH_BATCH = 4_000
POLL_S = 0.005
AGENTS = {"message": "moderation", "transaction": "fraud"}


class Clocked:
    """An agent that starts a meter when its first batch comes; `onward` counts what it sends on, `answered` what came from there."""

    def __init__(self, agent: Agent, meter: Meter, tally: Counter[str]) -> None:
        self._agent = agent
        self._meter = meter
        self._tally = tally

    @property
    def kind(self) -> Kind:
        """That of the agent."""
        return self._agent.kind

    @property
    def topic(self) -> str:
        """That of the agent."""
        return self._agent.topic

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What the agent says."""
        self._meter.begin()
        outcome = self._agent.handle(records, at=at)
        self._tally["onward"] += len(outcome.onward)
        self._tally["answered"] += len(outcome.appended_ms or ())
        return outcome


def drain(job: Job) -> Drained:
    """Drain the backlog of `job` with the worker's own parts."""
    logging.getLogger("faust").setLevel(logging.ERROR)
    settings = settings_of(job)
    if job.kind == "passthrough":
        registered = [Registration(TOPICS[job.kind], lambda _: PassthroughAgent(), PASSTHROUGH_BATCH)]
    else:
        registered = registrations(settings, [AGENTS[job.kind]], topics.partition_counts(settings))
    return asyncio.run(drain_with(registered, job, settings))


def settings_of(job: Job) -> Settings:
    """The worker's settings for `job`; what it does not say is as for any worker here."""
    return load(
        {
            "broker": job.broker, "prefix": job.prefix, "group": job.group, "state_dir": job.folder, "state_store": job.state_store,
            "policy": job.policy, "web_port": 0,
        }
    )


async def drain_with(registered: Sequence[Registration], job: Job, settings: Settings) -> Drained:
    """Drain with the agents of `registered`, until every record of the backlog is acknowledged and what was sent on is answered."""
    meter, tally = Meter(), Counter[str]()
    collector.spare()
    partitions = topics.partition_counts(settings)
    clocked = []
    for one in registered:
        clocked.append(replace(one, build=_clocked(one, meter, tally)))
        if one.stateful:
            topics.create_changelog(settings, topics.changelog_name(settings, one.table), partitions[one.topic])
    producer = new_producer(settings)
    await producer.start()
    app = build_app(settings, clocked, producer, partitions=partitions)
    starting = asyncio.create_task(app.start())
    try:
        await acknowledged(app, job.source, job.events)
        while tally["answered"] < tally["onward"]:  # noqa: ASYNC110 (another's progress, which nothing announces)
            await asyncio.sleep(POLL_S)
        return meter.end(job.events)
    finally:
        await app.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await producer.stop()


def _clocked(registered: Registration, meter: Meter, tally: Counter[str]) -> Callable[[State | None], Agent]:
    return lambda state: Clocked(registered.build(state), meter, tally)


async def acknowledged(app: faust.App, source: str, events: int) -> None:
    """Wait until `events` records of `source` are acknowledged."""
    transport: Any = app.transport
    lane = transport.lanes[source]
    while sum(done_of(lane).values()) < events:  # noqa: ASYNC110 (another's progress, which nothing announces)
        await asyncio.sleep(POLL_S)


def done_of(lane: Any) -> dict[Any, int]:  # noqa: ANN401 (the consumer appears when Faust has made it)
    """Acknowledged ends by partition; empty before the consumer is there."""
    consumer = getattr(lane, "consumer", None)
    return {} if consumer is None else {tp: end for tp, end in consumer.done.items() if tp.topic == lane.topic}
