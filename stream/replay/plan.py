"""A replay that workers share: what it is of, kept on the broker, where any machine finds it by the run's name.

All that a run writes lies in topics of its own, whose names begin with `replay-RUN-` behind the prefix of a shared cluster. No live
topic begins so, and neither does the live group or its changelog."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Self

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from schemas.policy import Policy, PolicyError
from schemas.topics import DAY_MS
from stream import groups, topics
from stream.admin import admin
from stream.app import HISTORIES
from stream.clients import kafka_python_options
from stream.errors import BrokerError, StreamError, UsageError
from stream.names import Names
from stream.replay.outlet import PREFIX
from stream.replay.request import Manifest
from stream.replay.source import Part
from stream.replay.topic import read_all
from stream.settings import Settings

PLAN, ROWS = "plan", "rows"
"""The run's topics beside those of flags and dead letters: what it is of, and the scores of every event."""
KEPT_MS = 30 * DAY_MS
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def group(run: str) -> str:
    """The consumer group of a run, before the prefix. Raises `UsageError` for what cannot be part of a topic's name."""
    if not _NAME.fullmatch(run):
        raise UsageError(f"replay {run!r}: a run is named by letters, digits, '.', '_' and '-', at most 100 of them")
    return f"{PREFIX}{run}"


def outlets(settings: Settings, run: str) -> Names:
    """The names of the run's own topics."""
    return Names(f"{settings.prefix}{group(run)}-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A topic, by its name on the wire, up to where it went when the run began: all workers read the same of it."""

    topic: str
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """From plain values. Raises `ValueError`, `TypeError` or `KeyError`."""
        return cls(topic=str(values["topic"]), parts=tuple(Part(**part) for part in values["parts"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the workers of a run must know. `policy` is the text of its file; `explain` as the setting of that name."""

    manifest: Manifest
    policy: str
    explain: int
    partitions: int
    verdicts: Stretch | None = None
    """Where the verdicts stand that tell of terminals; None: terminals are not assessed."""

    @property
    def rules(self) -> Policy:
        """The policy. Raises `StreamError` when it is damaged."""
        try:
            return Policy.from_toml(self.policy, source="plan")
        except PolicyError as error:
            raise StreamError(f"the replay's policy cannot be read: {error}") from error

    @property
    def ends(self) -> dict[int, int]:
        """Up to which offset each partition is judged."""
        return {part.number: max(part.start, part.end) for part in self.manifest.parts}

    def to_json(self) -> bytes:
        """As it is kept."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """The plan that `to_json` gave. Raises `StreamError` for anything else."""
        try:
            found: dict[str, Any] = json.loads(raw)
            verdicts = Stretch.of(found["verdicts"]) if found.get("verdicts") else None
            return cls(**{**found, "manifest": Manifest.of(found["manifest"]), "verdicts": verdicts})
        except (ValueError, TypeError, KeyError) as error:
            raise StreamError("the replay's plan is damaged, or of another version; begin it anew under another name") from error


def find_plan(settings: Settings, run: str) -> Plan | None:
    """The plan of `run`; None where there is none. Raises `StreamError`."""
    wire = outlets(settings, run).wire(PLAN)
    with admin(settings) as client:
        if wire not in client.list_topics():
            return None
    kept = [raw.value for batch in read_all(settings, wire) for raw in batch if raw.value]
    return Plan.from_json(kept[0]) if kept else None


def begin(settings: Settings, run: str, plan: Plan) -> None:
    """Make the topics of `run`, put its group at the starts of the parts, and then keep `plan`: who finds it can begin. Raises
    `BrokerError`."""
    names = outlets(settings, run)
    kept = {"retention.ms": str(KEPT_MS)}
    wanted: dict[str, dict[str, Any]] = {
        names.wire(PLAN): {"num_partitions": 1, "configs": kept},
        names.wire(ROWS): {"num_partitions": plan.partitions, "configs": kept},
        names.wire("flags"): {"num_partitions": plan.partitions, "configs": kept},
        names.wire("dead-letters"): {"num_partitions": 1, "configs": kept | {"max.message.bytes": topics.MAX_MESSAGE_BYTES["dead-letters"]}},
        topics.changelog_name(settings.model_copy(update={"group": group(run)}), HISTORIES): {
            # The state of a run is of no use after it.
            "num_partitions": plan.partitions, "configs": {"cleanup.policy": "compact,delete", "retention.ms": str(KEPT_MS)},
        },
    }
    starts = {TopicPartition(plan.manifest.topic, part.number): min(part.start, part.end) for part in plan.manifest.parts}
    topics.make(settings, {name: {"replication_factor": topics.BROKER_DEFAULT, **topic} for name, topic in wanted.items()})
    groups.put(settings, f"{settings.prefix}{group(run)}", starts)
    try:
        producer = KafkaProducer(**kafka_python_options(settings), acks="all")
        try:
            producer.send(names.wire(PLAN), plan.to_json()).get(timeout=30)
        finally:
            producer.close()
    except (KafkaError, OSError) as error:
        raise BrokerError(f"the broker at {settings.broker} does not take the plan: {type(error).__name__}: {error}") from error


def judged(settings: Settings, run: str, plan: Plan) -> dict[int, int]:
    """How far the run's group has committed each part. Raises `BrokerError`."""
    name = f"{settings.prefix}{group(run)}"
    committed = {place.partition: offset for place, offset in groups.committed(settings, name).items() if place.topic == plan.manifest.topic}
    return {part.number: max(part.start, committed.get(part.number, part.start)) for part in plan.manifest.parts}


def is_done(plan: Plan, so_far: dict[int, int]) -> bool:
    """Whether every part was judged to its end."""
    return all(so_far.get(number, -1) >= end for number, end in plan.ends.items())
