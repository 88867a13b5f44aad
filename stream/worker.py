"""The worker service: starts the app, serves its health, and stops it in good order."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import structlog

from agents.board import Inputs
from agents.protocol import Agent, State
from agents.verdicts import VerdictAgent
from agents.visits import TOPIC as VISITS
from models.halves import Halves
from schemas.labels import Kind
from schemas.policy import Policy
from schemas.topics import BY_NAME
from stream import collector, load, topics
from stream.app import TERMINALS, Registration, build_app
from stream.errors import ClientGaveUpError, UsageError
from stream.names import Names
from stream.publisher import Publisher, producing
from stream.settings import Settings
from stream.slot import state_slot
from stream.verdicts.endpoint import VerdictDoor
from stream.verdicts.feed import feeding
from stream.watchdog import watch
from stream.web import serving

if TYPE_CHECKING:
    import faust

    from stream.consumer import LaneTransport

log = structlog.get_logger(__name__)

AGENTS: dict[str, Kind] = {"moderation": "message", "fraud": "transaction"}
TEXT_BATCH = 128
TRANSACTION_BATCH = 512
VERDICT_BATCH = 512
VISIT_BATCH = 128
"""Few enough that what a batch stores of a partition is one batch of records: written as a whole or not at all."""
WATCH_S = 0.2
STOP_TIMEOUT_S = 30.0


def registrations(settings: Settings, names: Sequence[str], partitions: Mapping[str, int]) -> list[Registration]:
    """The agents by name, with their models and policy loaded. `partitions` of the topics are asked for when agents are built.
    Raises `UsageError`."""
    unknown = [name for name in names if name not in AGENTS]
    if unknown or not names:
        raise UsageError(f"unknown agent {(unknown or [''])[0]!r}; known: {', '.join(AGENTS)}")
    policy = load.load_policy(settings)
    found = []
    if "moderation" in names:
        agent = load.moderation_agent(settings, policy)
        found.append(Registration(agent.topic, lambda _: agent, TEXT_BATCH))
    if "fraud" in names:
        found += _fraud(settings, policy, partitions)
    return found


def _fraud(settings: Settings, policy: Policy, partitions: Mapping[str, int]) -> list[Registration]:
    """The agent of cards; and, where the model looks at terminals, that of terminals and that of verdicts."""
    bundle, model = load.fraud_model(settings)
    both = Halves(model.features).terminals

    def cards(state: State | None) -> Agent:
        # Not `state or {}`: a table that is still empty is false.
        return load.fraud_agent(bundle, model, policy, {} if state is None else state, terminals=partitions[VISITS] if both else 0)

    def terminals(state: State | None) -> Agent:
        inputs = Inputs(partitions["transactions"], partitions["verdicts"])
        held = {} if state is None else state
        return load.terminal_agent(bundle, model, policy, held, inputs=inputs, wait_s=settings.terminal_wait_s)

    found = [Registration("transactions", cards, TRANSACTION_BATCH, stateful=True)]
    if both:
        found.append(Registration("verdicts", lambda _: VerdictAgent(partitions=partitions[VISITS]), VERDICT_BATCH))
        found.append(Registration(VISITS, terminals, VISIT_BATCH, stateful=True, table=TERMINALS))
    return found


async def run(settings: Settings, agents: Sequence[str], *, on_ready: Callable[[str], None]) -> None:
    """Work until SIGTERM or SIGINT; then finish the batch in hand, commit and return. `on_ready` gets the address of the
    HTTP server. Raises `StreamError` when it cannot start or the Kafka client gives up; nothing is lost then either."""
    settings.need_broker()
    partitions: dict[str, int] = {}
    registered = registrations(settings, agents, partitions)
    collector.spare()
    partitions.update(await asyncio.to_thread(_prepare_topics, settings, registered))
    async with producing(settings) as producer:
        with state_slot(settings.state_dir / f"{settings.prefix}{settings.group}") as slot:
            app = build_app(settings.model_copy(update={"state_dir": slot}), registered, producer, partitions=partitions)
            with feeding(settings) as feed:
                door = VerdictDoor(settings, Publisher(producer), _unknown if feed is None else feed.subject)
                await serve(app, settings, on_ready, door=door)



def _unknown(_flag_id: str) -> None:
    """Without a window no flag is known by its id."""
    return


def _prepare_topics(settings: Settings, registered: Sequence[Registration]) -> dict[str, int]:
    """Create what is missing, changelogs included; partitions of each topic of the table."""
    topics.create(settings)
    partitions = topics.partition_counts(settings)
    for registration in registered:
        if registration.stateful:
            changelog = topics.changelog_name(settings, registration.table)
            topics.create_changelog(settings, changelog, partitions[registration.topic])
    return partitions


async def serve(
    app: faust.App, settings: Settings, on_ready: Callable[[str], None], *, door: VerdictDoor | None = None,
    done: Callable[[], bool] = lambda: False,
) -> None:
    """Run `app` until SIGTERM, SIGINT or `done()`, which is asked again and again; then stop it in good order. Raises `StreamError`
    when it cannot start or the Kafka client gives up."""
    stopping, started = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    async def startup_finished() -> None:
        started.set()

    app.on_startup_finished = startup_finished
    begun_s = time.monotonic()
    starting = asyncio.create_task(app.start(), name="app.start")
    # Where marks come all the time something is always uncommitted; and a client that stops fetching stops with all lanes.
    inputs = {Names(settings.prefix).wire(name) for name in BY_NAME}
    lanes = [lane for lane in cast("LaneTransport", app.transport).lanes.values() if lane.topic in inputs]
    stalled = asyncio.create_task(watch(lanes, lambda: _lags(settings)))
    try:
        async with serving(
            settings,
            healthy=lambda: not app.crashed,
            ready=lambda: started.is_set() and not app.rebalancing and not app.crashed,
            door=door,
        ) as address:
            announced = False
            while not (stopping.is_set() or done() or app.crashed or stalled.done()):
                if started.is_set() and not announced:
                    announced = True
                    log.info("worker.ready", web=address, seconds=round(time.monotonic() - begun_s, 2))
                    on_ready(address)
                if starting.done() and starting.exception() is not None:
                    break
                try:
                    await asyncio.wait_for(stopping.wait(), WATCH_S)
                except TimeoutError:
                    continue
    finally:
        stalled.cancel()
        await _stop(app, starting)
    if stopping.is_set() or done():
        # What a client says while it is being stopped, in the middle of a rebalance perhaps, is no failure: what it had not
        # committed is delivered again.
        return
    if stalled.done() and not stalled.cancelled():
        raise ClientGaveUpError("there are records to read, but the Kafka client has stopped fetching")
    if app.crashed or (starting.done() and not starting.cancelled() and starting.exception() is not None):
        reason = app.crash_reason or (starting.exception() if starting.done() and not starting.cancelled() else None)
        raise ClientGaveUpError(f"the Kafka client gave up ({type(reason).__name__}: {reason})")


def _lags(settings: Settings) -> dict[str, int]:
    """Uncommitted records by topic on the wire."""
    states = topics.states(settings)
    return {state.name: state.lag for state in states if state.lag is not None}


async def _stop(app: faust.App, starting: asyncio.Task[None]) -> None:
    log.info("worker.stopping")
    try:
        await asyncio.wait_for(app.stop(), STOP_TIMEOUT_S)
    except TimeoutError:
        log.warning("worker.stop_timeout", hint="what was not committed is delivered again")
    if not starting.done():
        starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    log.info("worker.stopped")
