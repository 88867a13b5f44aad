"""Topics on the broker: created from the table, and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from schemas.topics import TOPICS
from stream.errors import BrokerError
from stream.names import Names

CONNECT_TIMEOUT_S = 10.0
BROKER_DEFAULT = -1
"""Replication factor: whatever the broker's own default is."""
MAX_MESSAGE_BYTES = {"dead-letters": "3145728"}
"""A dead letter holds a record of up to 1 MiB in base64."""
ALREADY_THERE = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as it is on the broker: records by partition, and for a group how many it has not committed yet."""

    name: str
    partitions: int
    first_offsets: tuple[int, ...]
    end_offsets: tuple[int, ...]
    lag: int | None


def changelog_name(names: Names, group: str, table: str) -> str:
    """The changelog topic of a table, as Faust names it."""
    return f"{names.wire(group)}-{table}-changelog"


@asynccontextmanager
async def admin(broker: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client. Raises `BrokerError` when the broker does not answer in `CONNECT_TIMEOUT_S`."""
    client = AIOKafkaAdminClient(bootstrap_servers=broker, request_timeout_ms=int(CONNECT_TIMEOUT_S * 1000))
    try:
        await asyncio.wait_for(client.start(), CONNECT_TIMEOUT_S)
    except (KafkaError, OSError, TimeoutError) as error:
        await client.close()
        raise BrokerError(f"no Kafka broker answers at {broker}: is it running, and is the address right?") from error
    try:
        yield client
    except KafkaError as error:
        raise BrokerError(f"the broker at {broker} refuses: {type(error).__name__}: {error}") from error
    finally:
        await client.close()


async def create(broker: str, names: Names, *, replication: int = BROKER_DEFAULT) -> list[str]:
    """Create what is missing of the table of topics; the names of those made. Raises `BrokerError`."""
    wanted = [
        NewTopic(
            names.wire(topic.name), topic.partitions, replication,
            topic_configs={
                "retention.ms": str(topic.retention_ms),
                **({"max.message.bytes": size} if (size := MAX_MESSAGE_BYTES.get(topic.name)) else {}),
            },
        )
        for topic in TOPICS
    ]
    async with admin(broker) as client:
        return await _create(client, wanted)


async def create_changelog(broker: str, name: str, partitions: int, *, replication: int = BROKER_DEFAULT) -> None:
    """Create the compacted topic behind a table, unless it is there. Raises `BrokerError`, also when it is there with
    another number of partitions: state and input would no longer lie together."""
    async with admin(broker) as client:
        await _create(client, [NewTopic(name, partitions, replication, topic_configs={"cleanup.policy": "compact"})])
        found = (await _partition_counts(client, [name])).get(name)
    if found not in (None, partitions):
        raise BrokerError(
            f"topic {name} has {found} partitions but its input has {partitions}: the state cannot follow; "
            "use a new group, or recreate the input with as many"
        )


async def _create(client: AIOKafkaAdminClient, wanted: list[NewTopic]) -> list[str]:
    there = await _partition_counts(client, [topic.name for topic in wanted])
    missing = [topic for topic in wanted if topic.name not in there]
    if not missing:
        return []
    response = await client.create_topics(missing)
    made = []
    for name, code, *rest in response.topic_errors:
        if code == 0:
            made.append(name)
        elif code != ALREADY_THERE:
            detail = rest[0] if rest and rest[0] else for_code(code).__name__
            raise BrokerError(f"cannot create topic {name}: {detail}")
    return made


async def _partition_counts(client: AIOKafkaAdminClient, wanted: list[str]) -> dict[str, int]:
    described = await client.describe_topics(wanted)
    return {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}


async def partition_counts(broker: str, names: Names) -> dict[str, int]:
    """Partitions of each topic of the table that exists, by its name in the table. Raises `BrokerError`."""
    async with admin(broker) as client:
        found = await _partition_counts(client, [names.wire(topic.name) for topic in TOPICS])
    return {names.table(wire): count for wire, count in found.items()}


async def states(broker: str, names: Names, group: str) -> list[TopicState]:
    """The topics of the table that exist, with offsets, and the lag of `group` where it has committed. Raises `BrokerError`."""
    counts = await partition_counts(broker, names)
    async with admin(broker) as client:
        committed: Mapping[TopicPartition, object] = await client.list_consumer_group_offsets(names.wire(group))
    consumer = AIOKafkaConsumer(bootstrap_servers=broker)
    await consumer.start()
    try:
        found = []
        for name, count in counts.items():
            tps = [TopicPartition(names.wire(name), partition) for partition in range(count)]
            first, end = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            offsets = {tp: getattr(committed[tp], "offset", -1) for tp in tps if tp in committed}
            known = {tp: offset for tp, offset in offsets.items() if offset >= 0}
            lag = sum(end[tp] - known.get(tp, first[tp]) for tp in tps) if known else None
            found.append(
                TopicState(
                    name=names.wire(name), partitions=count, lag=lag,
                    first_offsets=tuple(first[tp] for tp in tps), end_offsets=tuple(end[tp] for tp in tps),
                )
            )
        return found
    finally:
        await consumer.stop()
