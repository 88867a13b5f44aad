"""`flagstream worker --replay RUN`: one of any number of workers that share a replay; the broker spreads the partitions.

It is the live worker with another group, other topics to write to and a bounded range: what a rebalance or a kill does to it is what
they do to that one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, cast

import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from agents.protocol import State
from stream import collector, worker
from stream.app import Registration, build_app
from stream.errors import StreamError, UsageError
from stream.load import BUNDLES, bundle_folder
from stream.names import Names
from stream.publisher import producing
from stream.replay.drive import Progress
from stream.replay.judge import BundleJudge, bundle_judge
from stream.replay.part import BATCH
from stream.replay.places import fold_places
from stream.replay.plan import Plan, find_plan, group, is_done, judged, outlets
from stream.replay.share import Share
from stream.replay.topic import TopicSource
from stream.settings import Settings
from stream.slot import state_slot

if TYPE_CHECKING:
    from stream.consumer import LaneConsumer, LaneTransport
    from stream.lane import Lane

log = structlog.get_logger(__name__)

LOOK_S = 1.0
LOOKS = 3
"""After so many looks at a partition that is read to its end, what is missing there is held for absent."""


async def join(settings: Settings, run: str, *, on_ready: Callable[[str], None]) -> None:
    """Work for the replay `run` until all of it is judged, or until SIGTERM or SIGINT. Raises `UsageError` when there is no such run
    or its model is not here, `StreamError` as the live worker does."""
    plan = await asyncio.to_thread(_plan, settings, run)
    judge = _judge(settings, plan)
    mine = settings.model_copy(update={"group": group(run)})
    topic, kind = plan.manifest.topic, plan.manifest.kind
    collector.spare()
    async with producing(mine) as producer:
        with state_slot(settings.state_dir / f"{settings.prefix}{mine.group}") as slot:
            placed = await _placed(settings, plan, judge, slot / f"places-{plan.manifest.at:%Y%m%d%H%M%S%f}")

            def build(state: State | None) -> Share:
                return Share(placed, state, kind=kind, topic=topic, parts=plan.manifest.parts, at=plan.manifest.at)

            registered = Registration(topic, build, BATCH, stateful=kind == "transaction")
            app = build_app(
                mine.model_copy(update={"state_dir": slot}), [registered], producer, partitions={topic: plan.partitions},
                names=Names(), outlets=outlets(settings, run),
            )
            over = asyncio.Event()
            lane = cast("LaneTransport", app.transport).lanes[topic]
            watching = asyncio.create_task(_until_done(settings, run, plan, lane, over))
            try:
                await worker.serve(app, mine, on_ready, done=over.is_set)
            finally:
                watching.cancel()
            if over.is_set():
                log.info("replay.done", run=run)
                shutil.rmtree(slot, ignore_errors=True)


def _plan(settings: Settings, run: str) -> Plan:
    found = find_plan(settings, run)
    if found is None:
        raise UsageError(f"no replay {run!r} on {settings.need_broker()}: begin it with `flagstream replay --topic … --workers {run}`")
    return found


async def _placed(settings: Settings, plan: Plan, judge: BundleJudge, folder: Path) -> BundleJudge:
    """`judge` with what the run's verdicts tell of terminals. Every worker reads all parts for it: a terminal is visited from each. The
    thread that does ends soon after this was cancelled."""
    if plan.verdicts is None:
        return judge
    log.info("replay.terminals", records=sum(part.records for part in plan.manifest.parts))
    history = TopicSource(settings=settings, topic=plan.manifest.topic, parts=plan.manifest.parts)
    verdicts = TopicSource(settings=settings, topic=plan.verdicts.topic, parts=plan.verdicts.parts)
    left = Event()

    def go_on(_: Progress) -> None:
        if left.is_set():
            raise StreamError("the worker was stopped before it knew the terminals")

    try:
        await asyncio.to_thread(fold_places, history, verdicts.whole(), folder, show=go_on)
    finally:
        # Nothing else ends a thread, and the process waits for it.
        left.set()
    return replace(judge, places=folder)


def _judge(settings: Settings, plan: Plan) -> BundleJudge:
    kind, manifest = plan.manifest.kind, plan.manifest
    judge = bundle_judge(bundle_folder(settings, BUNDLES[kind]), plan.rules, kind, explain=plan.explain, floors=manifest.floors)
    if judge.model_digest != manifest.model:
        raise UsageError(
            f"this replay is of model {manifest.model}, but here is {judge.model_digest}: name its folder by --models, or FLAGSTREAM_MODELS"
        )
    return judge


async def _until_done(settings: Settings, run: str, plan: Plan, lane: Lane, over: asyncio.Event) -> None:
    """Set `over` once the group has committed every part to its end."""
    looks: dict[TP, int] = {}
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            consumer = getattr(lane, "consumer", None)
            if consumer is not None:
                await _pass_absent(consumer, lane, plan.ends, looks)
            if is_done(plan, await asyncio.to_thread(judged, settings, run, plan)):
                over.set()
                return
        except (StreamError, KafkaError) as error:
            # In an outage, or between two assignments: the next look tells.
            log.info("replay.look_again", error=type(error).__name__)


async def _pass_absent(consumer: LaneConsumer, lane: Lane, ends: dict[int, int], looks: dict[TP, int]) -> None:
    """Count a part as judged whose last offsets hold no record: compacted, deleted, or marks of transactions."""
    for tp in [tp for tp in consumer.assignment() if tp.topic == lane.topic and tp.partition in ends]:
        end = ends[tp.partition]
        acknowledged = consumer.done.get(tp) or consumer._committed_offset[tp] or 0
        position = None if acknowledged >= end else await consumer.position(tp)
        reached = lane.idle and consumer.flow_active and position is not None and position >= end
        looks[tp] = looks.get(tp, 0) + 1 if reached else 0
        if looks[tp] >= LOOKS and lane.idle:
            consumer.done[tp] = end
