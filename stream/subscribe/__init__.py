"""Flags as they come, for services that act on them: `for flag in subscribe(group="payments", labels={"scam"}): …`"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from schemas.flag import Decision, Flag
from schemas.labels import Kind, Severity
from schemas.topics import BY_NAME
from stream import settings
from stream.errors import UsageError
from stream.names import Names
from stream.subscribe.filters import Filter
from stream.subscribe.held import Held
from stream.subscribe.plan import OnPartitions, OnPoison, Plan, Start, log_poison, starting
from stream.subscribe.progress import Counts
from stream.subscribe.subscription import Subscription

__all__ = ["Counts", "Filter", "Held", "Subscription", "subscribe"]

DEDUPE_WINDOW = 100_000
"""Flag ids remembered by default, about 20 MB."""


def subscribe(
    topic: str = "flags",
    *,
    group: str | None = None,
    labels: Collection[str] | None = None,
    decisions: Collection[Decision] | None = None,
    kinds: Collection[Kind] | None = None,
    min_severity: Severity | None = None,
    min_score: float | None = None,
    entities: Collection[str] | None = None,
    tenants: Collection[str] | None = None,
    broker: str | None = None,
    prefix: str | None = None,
    start: Start | str | datetime = "committed",
    dedupe_window: int = DEDUPE_WINDOW,
    on_poison: OnPoison | None = None,
    on_assigned: OnPartitions | None = None,
    on_revoked: OnPartitions | None = None,
    idle_timeout_s: float | None = None,
    client: Mapping[str, Any] | None = None,
) -> Subscription:
    """The flags of `topic`, typed, for a `for` or an `async for`; nothing is connected before the loop begins.

    With a `group` the flags are shared out among all subscriptions of that group, and the loop goes on where the group
    stopped; without one, this subscription gets all flags and commits nothing.

    Delivery is at least once. A flag counts as done when its body returned, which is when the loop asks for the next; only
    then may its offset be committed. A body that raises (or breaks off, or dies) gets its flag again: in the next loop over
    the same subscription, or wherever the group carries on. A flag whose id was done within the last `dedupe_window` flags
    of this subscription is dropped (0: none is).

    `labels`, `min_severity` and `min_score` (a probability) look for one label of the flag that satisfies all three;
    `entities`, `tenants`, `kinds` and `decisions` are sets of which one must match.

    `start` is where to begin: "committed" (where the group stopped; at the earliest flag where it has not been),
    "earliest", "latest" or a time. The last three hold for the partitions that this subscription is given first,
    whatever the group has committed.

    `on_poison` gets what is no flag (default: a warning without its content). `on_assigned` and `on_revoked` get partition
    numbers, called in the client's own thread or task: they should be quick. With `idle_timeout_s` the loop ends when
    nothing came for so long. Broker, prefix and how to log in come from the settings where they are not given; `client`
    holds further options of the Kafka client (kafka-python's for a `for`, aiokafka's for an `async for`).

    Raises `UsageError` for wrong arguments, and in the loop `BrokerError` when the broker does not answer or refuses."""
    if topic in BY_NAME and not issubclass(BY_NAME[topic].payload, Flag):
        carried = BY_NAME[topic].payload.__name__
        raise UsageError(f"topic {topic} carries {carried} records, not flags; look at it with `flagstream tail {topic}`")
    if dedupe_window < 0:
        raise UsageError("dedupe_window must not be negative")
    resolved = settings.load({"broker": broker, "prefix": prefix})
    resolved.need_broker()
    names = Names(resolved.prefix)
    return Subscription(
        Plan(
            settings=resolved,
            topic=names.wire(topic),
            group=None if group is None else names.wire(group),
            wanted=Filter.of(
                labels=labels, decisions=decisions, kinds=kinds, min_severity=min_severity, min_score=min_score,
                entities=entities, tenants=tenants,
            ),
            start=starting(start),
            dedupe_window=dedupe_window,
            on_poison=on_poison or log_poison,
            on_assigned=on_assigned or _ignore,
            on_revoked=on_revoked or _ignore,
            idle_timeout_s=idle_timeout_s,
            client=dict(client or {}),
        )
    )


def _ignore(_partitions: frozenset[int]) -> None:
    return
