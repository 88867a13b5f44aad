"""What must come out of a backlog, and what did: each flag and dead letter counted by its id."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from agents.protocol import Agent, StateKey
from schemas.codec import Position, RawRecord
from stream import load
from stream.bench.job import TOPICS, Kind
from stream.bench.passthrough import PassthroughAgent
from stream.bench.stage import Read, Stage
from stream.settings import Settings

BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How many ids came more than once (each further copy counts), never came, and came without being caused."""

    duplicates: int
    missing: int
    unexpected: int

    def __add__(self, other: Account) -> Account:
        return Account(
            duplicates=self.duplicates + other.duplicates, missing=self.missing + other.missing,
            unexpected=self.unexpected + other.unexpected,
        )


NOTHING = Account(duplicates=0, missing=0, unexpected=0)


def agent_of(kind: Kind, settings: Settings) -> Agent:
    """The agent that judges `kind`, over a dict of its own. Raises `UsageError`."""
    if kind == "passthrough":
        return PassthroughAgent()
    policy = load.load_policy(settings)
    if kind == "message":
        return load.moderation_agent(settings, policy)
    return load.fraud_agent(*load.fraud_model(settings), policy, {})


def expected(kind: Kind, staged: Stage, settings: Settings) -> Callable[[], set[str]]:
    """Ids of all that the backlog on `staged` causes, computed here and without a stream, when first asked for."""
    found: set[str] = set()

    def ids() -> set[str]:
        if not found:
            state: dict[StateKey, bytes] = {}
            agent = agent_of(kind, settings) if kind != "transaction" else _fraud(settings, state)
            for batch in batches(raw_records(staged, TOPICS[kind]), BATCH):
                outcome = agent.handle(batch, at=datetime.now(UTC))
                state.update(outcome.state)
                found.update(flag.id for flag in outcome.flags)
                found.update(letter.id for letter in outcome.dead_letters)
        return found

    return ids


def _fraud(settings: Settings, state: dict[StateKey, bytes]) -> Agent:
    return load.fraud_agent(*load.fraud_model(settings), load.load_policy(settings), state)


def raw_records(staged: Stage, topic: str) -> list[RawRecord]:
    """The records of `topic`, in order for each partition."""
    wire = staged.names.wire(topic)
    return [RawRecord(Position(wire, one.partition, one.offset), one.key, one.value, one.timestamp_ms) for one in staged.read(topic)]


def batches(records: list[RawRecord], size: int) -> Iterable[list[RawRecord]]:
    """`records` in batches of `size`."""
    return (records[start : start + size] for start in range(0, len(records), size))


def account(out: Iterable[Read], wanted: set[str]) -> Account:
    """`out` (flags and dead letters) against the ids that were `wanted`."""
    seen = Counter(json.loads(one.value or b"{}").get("id", "") for one in out)
    return Account(
        duplicates=sum(seen.values()) - len(seen), missing=len(wanted - seen.keys()), unexpected=len(seen.keys() - wanted)
    )
