"""Topics on the broker: created from the table, and looked at. Blocking; call it from a thread inside an event loop."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import TopicAlreadyExistsError, for_code

from schemas.topics import INTERNAL, TOPICS, InternalTopic
from stream import groups
from stream.admin import admin
from stream.errors import BrokerError
from stream.names import Names
from stream.settings import Settings

BROKER_DEFAULT = -1
"""Replication factor: whatever the broker's own default is."""
EARLIEST, LATEST = -2, -1
ALL: tuple[InternalTopic, ...] = (*TOPICS, *INTERNAL)
MAX_MESSAGE_BYTES = {"dead-letters": "3145728"}
"""A dead letter holds a record of up to 1 MiB in base64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicState:
    """A topic as it is on the broker: records by partition, and for a group how many it has not committed yet."""

    name: str
    partitions: int
    first_offsets: tuple[int, ...]
    end_offsets: tuple[int, ...]
    lag: int | None


def changelog_name(settings: Settings, table: str) -> str:
    """The changelog topic of a table, as Faust names it."""
    return f"{settings.prefix}{settings.group}-{table}-changelog"


def create(settings: Settings, *, replication: int = BROKER_DEFAULT, only: Collection[str] | None = None) -> list[str]:
    """Create what is missing of the table of topics, or of `only` those by their names in it; the names of those made. Raises
    `BrokerError`."""
    names = Names(settings.prefix)
    wanted = {
        names.wire(topic.name): {
            "num_partitions": topic.partitions,
            "replication_factor": replication,
            "configs": {
                "retention.ms": str(topic.retention_ms),
                **({"max.message.bytes": size} if (size := MAX_MESSAGE_BYTES.get(topic.name)) else {}),
            },
        }
        for topic in ALL
        if only is None or topic.name in only
    }
    with admin(settings) as client:
        return _create(client, wanted)


def create_changelog(settings: Settings, name: str, partitions: int, *, replication: int = BROKER_DEFAULT) -> None:
    """Create the compacted topic behind a table, unless it is there. Raises `BrokerError`, also when it is there with
    another number of partitions: state and input would no longer lie together."""
    wanted = {name: {"num_partitions": partitions, "replication_factor": replication, "configs": {"cleanup.policy": "compact"}}}
    with admin(settings) as client:
        _create(client, wanted)
        found = _counts(client).get(name)
    if found not in (None, partitions):
        raise BrokerError(
            f"topic {name} has {found} partitions but its input has {partitions}: the state cannot follow; "
            "use a new group, or recreate the input with as many"
        )


def make(settings: Settings, wanted: dict[str, Any]) -> list[str]:
    """Create what is missing of `wanted`: by name, what the admin client takes; the names of those made. Raises `BrokerError`."""
    with admin(settings) as client:
        return _create(client, wanted)


def _create(client: KafkaAdminClient, wanted: dict[str, Any]) -> list[str]:
    there = _counts(client)
    missing = {name: topic for name, topic in wanted.items() if name not in there}
    if not missing:
        return []
    made = []
    for topic in client.create_topics(missing, raise_errors=False)["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] == 0:
            made.append(topic["name"])
        elif error is not TopicAlreadyExistsError:
            raise BrokerError(f"cannot create topic {topic['name']}: {topic.get('error_message') or error.__name__}")
    client.wait_for_topics(list(missing))
    return made


def _counts(client: KafkaAdminClient) -> dict[str, int]:
    # All topics: asking for one by name would create it on a broker that creates topics by itself.
    return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics() if topic["error_code"] == 0}


def partition_counts(settings: Settings) -> dict[str, int]:
    """Partitions of each topic of the table that exists, by its name in the table. Raises `BrokerError`."""
    with admin(settings) as client:
        found = _counts(client)
    names = Names(settings.prefix)
    return {topic.name: found[wire] for topic in ALL if (wire := names.wire(topic.name)) in found}


def states(settings: Settings) -> list[TopicState]:
    """The topics of the table that exist, with offsets, and the lag of the group where it has committed. Raises `BrokerError`."""
    names = Names(settings.prefix)

    def ask(client: KafkaAdminClient) -> list[TopicState]:
        there, committed = _counts(client), groups.offsets(client, names.wire(settings.group))
        return [_state(client, wire, there[wire], committed) for topic in ALL if (wire := names.wire(topic.name)) in there]

    return groups.coordinated(settings, ask)


def _state(client: KafkaAdminClient, wire: str, partitions: int, committed: dict[TopicPartition, int]) -> TopicState:
    tps = [TopicPartition(wire, partition) for partition in range(partitions)]
    first = {tp: found.offset for tp, found in client.list_partition_offsets(dict.fromkeys(tps, EARLIEST)).items()}
    end = {tp: found.offset for tp, found in client.list_partition_offsets(dict.fromkeys(tps, LATEST)).items()}
    known = {tp: committed[tp] for tp in tps if tp in committed}
    return TopicState(
        name=wire,
        partitions=partitions,
        first_offsets=tuple(first[tp] for tp in tps),
        end_offsets=tuple(end[tp] for tp in tps),
        lag=sum(end[tp] - known.get(tp, first[tp]) for tp in tps) if known else None,
    )
