"""Everything a subscription is asked for, checked and resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from schemas.codec import Malformed
from stream.errors import UsageError
from stream.eventlog import get_logger
from stream.settings import Settings
from stream.subscribe.filters import Wanted

log = get_logger(__name__)

Start = Literal["committed", "earliest", "latest"]
OnPoison = Callable[[Malformed], object]
OnPartitions = Callable[[frozenset[int]], object]

COMMIT_INTERVAL_S = 0.5
"""Commits are at least this far apart; what a killed consumer did since the last one comes again."""
POLL_S = 0.25
"""How long a wait for records may last before the loop looks whether it was closed."""
CONNECT_TIMEOUT_S = 10.0
POLL_RECORDS = 500
METADATA_AGE_S = 30.0
"""New partitions are noticed within this time."""
SESSION_TIMEOUT_MS = 10_000
"""How long a killed member's partitions wait for another member."""
HEARTBEAT_MS = 1_000
HAND_OVER_S = 5.0
"""How long a rebalance waits for held flags to be done; those that are not come again to whoever has their partition then."""
KEEPALIVE_S = 1.0
"""While flags are worked on, the group is heard at least this often, so that slow bodies do not hold up a rebalance."""

CONSUMER: Mapping[str, Any] = {
    "client_id": "flagstream",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_poll_records": POLL_RECORDS,
    "fetch_max_wait_ms": 200,
    "session_timeout_ms": SESSION_TIMEOUT_MS,
    "heartbeat_interval_ms": HEARTBEAT_MS,
    "metadata_max_age_ms": int(METADATA_AGE_S * 1000),
}
"""What either client is told: kafka-python and aiokafka spell these options alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`topic` and `group` are names on the wire; a `start` that is a time is in UTC."""

    settings: Settings
    topic: str
    group: str | None
    wanted: Wanted
    start: Start | datetime
    dedupe_window: int
    on_poison: OnPoison
    on_assigned: OnPartitions
    on_revoked: OnPartitions
    idle_timeout_s: float | None
    client: Mapping[str, Any]


def starting(start: str | datetime) -> Start | datetime:
    """`start` as a word or a time in UTC; one without an offset is taken as UTC. Raises `UsageError`."""
    if isinstance(start, datetime):
        moment = start.replace(tzinfo=UTC) if start.tzinfo is None else start.astimezone(UTC)
        if moment.timestamp() < 0:
            raise UsageError("start: a time before 1970")
        return moment
    if start in ("committed", "earliest", "latest"):
        return start  # type: ignore[return-value]  # mypy does not narrow by membership
    raise UsageError(f"start is committed, earliest, latest or a time, not {start!r}")


def log_poison(found: Malformed) -> None:
    """What happens to a record that is no flag unless the caller says otherwise: a line without its content."""
    at = found.raw.at
    log.warning("flag.unreadable", topic=at.topic, partition=at.partition, offset=at.offset, reason=found.reason)
