"""The one table of topics: name, key, payload, partitions and retention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.base import Contract
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from schemas.message import Message
from schemas.transaction import Transaction
from schemas.verdict import Verdict

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalTopic:
    """A topic as it is created: `key` names what its records are keyed by, `retention_ms` how long they are kept. One between
    our own workers holds records in a form of their own, which is no contract."""

    name: str
    key: str
    retention_ms: int
    partitions: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic(InternalTopic):
    """A topic that others write or read, by contract."""

    payload: type[Contract]
    direction: Literal["in", "out"]


TOPICS: tuple[Topic, ...] = (
    Topic(name="messages", key="user_id", payload=Message, direction="in", retention_ms=7 * DAY_MS),
    Topic(name="transactions", key="card_id, else account_id", payload=Transaction, direction="in", retention_ms=35 * DAY_MS),
    Topic(name="flags", key="entity of the event", payload=Flag, direction="out", retention_ms=30 * DAY_MS),
    Topic(name="verdicts", key="event_id", payload=Verdict, direction="in", retention_ms=365 * DAY_MS),
    Topic(name="dead-letters", key="key of the record", payload=DeadLetter, direction="out", retention_ms=30 * DAY_MS),
    Topic(name="action-retries", key="entity of the event", payload=Flag, direction="in", retention_ms=7 * DAY_MS),
)

INTERNAL: tuple[InternalTopic, ...] = (
    # Transactions once more, by terminal, with marks of how far they are, and verdicts: read once, right after they were written.
    InternalTopic(name="terminal-visits", key="terminal, else merchant, else payee", retention_ms=3 * DAY_MS),
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
