"""Every record of a lane reaches its agent, in order, whatever happens to the position of the client underneath."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from agents.protocol import Outcome
from schemas.codec import RawRecord
from schemas.labels import Kind
from stream import topics
from stream.app import Registration, build_app
from stream.consumer import IDLE_POLL_S
from stream.publisher import new_producer
from stream.settings import Settings

if TYPE_CHECKING:
    from stream.consumer import LaneConsumer, LaneTransport
    from stream.lane import Lane

TOPIC: Final = "messages"


class Collecting:
    """An agent that remembers what it was given, and may be held up."""

    kind: Kind = "message"
    topic = TOPIC

    def __init__(self) -> None:
        self.seen: list[RawRecord] = []

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        self.seen += records
        return Outcome()

    def offsets(self, partition: int) -> list[int]:
        """The offsets seen of `partition`, each once, in the order of the first time."""
        return list(dict.fromkeys(raw.at.offset for raw in self.seen if raw.at.partition == partition))


@asynccontextmanager
async def working(broker: str, folder: Path, agent: Collecting) -> AsyncIterator[LaneConsumer]:
    """A worker's app that runs `agent`."""
    settings = Settings(broker=broker, state_dir=folder)
    producer = new_producer(settings)
    await producer.start()
    counts = await asyncio.to_thread(topics.partition_counts, settings)
    app = build_app(settings, [Registration(TOPIC, lambda _: agent, 16)], producer, partitions=counts)
    starting = asyncio.create_task(app.start())
    lane = cast("LaneTransport", app.transport).lanes[TOPIC]
    try:
        async with asyncio.timeout(30):
            while not _assigned(lane):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield lane.consumer
    finally:
        await app.stop()
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await producer.stop()
        lane.consumer._thread.thread_loop.close()  # Faust leaves it open


def _assigned(lane: Lane) -> bool:
    try:
        return hasattr(lane, "consumer") and bool(lane.consumer.assignment())
    except ConsumerNotStarted:
        return False


def send(broker: str, first: int, last: int) -> None:
    """Append to partition 0 what has these offsets."""
    producer = KafkaProducer(bootstrap_servers=broker)
    for number in range(first, last):
        producer.send(TOPIC, str(number).encode(), partition=0)
    producer.flush()
    producer.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for what another task or thread brings about."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_records_that_the_client_passed_over_are_fetched_after_all(embedded: str, tmp_path: Path) -> None:
    topics.create(Settings(broker=embedded))
    agent = Collecting()
    await asyncio.to_thread(send, embedded, 0, 50)
    async with working(embedded, tmp_path, agent) as consumer:
        await until(lambda: len(agent.offsets(0)) == 50)
        tp = TP(TOPIC, 0)
        # As if a fetch of 40 records had been lost between two seeks.
        consumer.pause_partitions({tp})
        await asyncio.sleep(2 * IDLE_POLL_S)  # for the fetch that is under way
        await asyncio.to_thread(send, embedded, 50, 100)
        await consumer._thread.seek_wait({tp: 90})
        consumer.resume_partitions({tp})
        await until(lambda: len(agent.offsets(0)) == 100)
        assert agent.offsets(0) == list(range(100))
        await until(lambda: consumer._committed_offset[tp] == 100)


async def test_a_gap_that_the_log_itself_has_is_crossed(embedded: str, tmp_path: Path) -> None:
    topics.create(Settings(broker=embedded))
    agent = Collecting()
    await asyncio.to_thread(send, embedded, 0, 50)
    tp = TP(TOPIC, 0)
    async with working(embedded, tmp_path, agent) as consumer:
        await until(lambda: consumer._committed_offset[tp] == 50)
    await asyncio.to_thread(send, embedded, 50, 100)
    await asyncio.to_thread(_delete_before, embedded, 80)
    async with working(embedded, tmp_path, agent) as consumer:
        await until(lambda: consumer._committed_offset[tp] == 100)
    assert agent.offsets(0) == [*range(50), *range(80, 100)]


async def test_a_seek_that_faust_asks_for_again_and_again_passes_nothing_over(embedded: str, tmp_path: Path) -> None:
    topics.create(Settings(broker=embedded))
    agent = Collecting()
    feeding = asyncio.create_task(asyncio.to_thread(send, embedded, 0, 20_000))
    async with working(embedded, tmp_path, agent) as consumer:
        for _ in range(40):
            # What a rebalance does to a lane: unsettled while fetches come in, then sought by Faust.
            consumer._settled = False
            await asyncio.sleep(0.01)
            await consumer.perform_seek()
            await asyncio.sleep(0.02)
        await feeding
        await until(lambda: consumer._committed_offset[TP(TOPIC, 0)] == 20_000)
        assert agent.offsets(0) == list(range(20_000))


def _delete_before(broker: str, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.delete_records({TopicPartition(TOPIC, 0): offset})
    admin.close()
