"""The composition root: settings, models, policy and agents put together as a Faust app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import faust

from agents.protocol import Agent, State
from agents.visits import TOPIC as VISITS
from agents.visits import TRANSACTIONS, VERDICTS
from stream import clients
from stream.consumer import LaneTransport, install
from stream.delivery import Delivery
from stream.lane import Lane
from stream.loop import AgentLoop
from stream.marks import Marker
from stream.names import Names
from stream.publisher import Publisher
from stream.settings import Settings
from stream.state import StateTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiokafka import AIOKafkaProducer

HISTORIES = "histories"
"""The table of card and account histories."""
TERMINALS = "terminals"
"""The table of terminals."""
MARKED = {"transactions": TRANSACTIONS, "verdicts": VERDICTS}
"""The inputs that keepers of terminals must hear of, with their channels."""
SESSION_TIMEOUT_S = 6.0
REBALANCE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Registration:
    """An agent to run: `build` gets the state that the agent reads (None for one without), which is kept in `table`."""

    topic: str
    build: Callable[[State | None], Agent]
    max_batch: int
    stateful: bool = False
    table: str = HISTORIES


def build_app(
    settings: Settings, registrations: Sequence[Registration], producer: AIOKafkaProducer, *, partitions: dict[str, int],
    names: Names | None = None, outlets: Names | None = None,
) -> faust.App:
    """A Faust app that runs `registrations`, ready to start; `partitions` gives the partition count of each input topic by
    its name in the table, which the changelog of its state must share. `names` are those of what is read and `outlets` those of
    what is published, where they are not those of the settings."""
    names = names or Names(settings.prefix)
    app = faust.App(
        f"{settings.prefix}{settings.group}",
        broker=[f"kafka://{address}" for address in settings.need_broker().split(",")],
        broker_credentials=clients.faust_credentials(settings),
        store=f"{settings.state_store}://",
        datadir=str(settings.state_dir),
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        # Finish the batch in hand before partitions are let go, and on SIGTERM.
        stream_wait_empty=True,
        broker_commit_interval=0.5,
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=1.0,
        # Also how long a rebalance waits for a member that was killed.
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_max_poll_records=4_000,
        consumer_max_fetch_size=4 * 1024 * 1024,
        stream_recovery_delay=0.0,
        recovery_consistency_check=False,
    )
    transport = install(app)
    delivery = Delivery(Publisher(producer), outlets or names)
    for registration in registrations:
        _register(app, transport, registration, delivery, names, settings, partitions)
    if any(registration.topic == VISITS for registration in registrations):
        lanes = {transport.lanes[names.wire(topic)]: channel for topic, channel in MARKED.items()}
        app.task(Marker(lanes, delivery, topic=names.wire(VISITS), partitions=partitions[VISITS]).run)
    return app


def _register(
    app: faust.App,
    transport: LaneTransport,
    registration: Registration,
    delivery: Delivery,
    names: Names,
    settings: Settings,
    partitions: dict[str, int],
) -> None:
    wire = names.wire(registration.topic)
    table: StateTable | None = None
    if registration.stateful:
        count = partitions[registration.topic]
        table = StateTable(app, name=registration.table, partitions=count, store=f"{settings.state_store}://")
        app.tables.add(table)
        transport.restores[table.changelog_topic_name] = table.restore
    lane = transport.lanes[wire] = Lane(wire)
    loop = AgentLoop(registration.build(table), lane, delivery, table, max_batch=registration.max_batch)
    topic = app.topic(wire, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def judge(_stream: Any) -> None:  # noqa: ANN401 (the lane delivers; Faust's stream only subscribes)
        await loop.run()

    app.agent(topic, name=registration.topic)(judge)
