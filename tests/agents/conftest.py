"""The agents over the shipped models, and generated records for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

import pytest

from agents.fraud import FraudAgent
from agents.moderation import ModerationAgent
from agents.protocol import State, StateKey
from schemas.codec import Position, RawRecord
from stream import load
from stream.settings import Settings
from stream.traffic.generate import traffic

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def records() -> Callable[[str, int], list[RawRecord]]:
    """The first so many generated records of a topic, spread over 4 partitions by key."""

    def generate(topic: str, count: int) -> list[RawRecord]:
        ends: dict[int, int] = {}
        found: list[RawRecord] = []
        events = traffic(11, rate=1_000, start=START, warmup_days=2, cards=40)
        for event in islice((event for event in events if event.topic == topic), count):
            partition = sum(event.key) % 4
            offset = ends[partition] = ends.get(partition, -1) + 1
            timestamp_ms = int(START.timestamp() * 1000) + len(found)
            found.append(RawRecord(Position(topic, partition, offset), event.key, event.value, timestamp_ms))
        return found

    return generate


@pytest.fixture(scope="session")
def moderation() -> ModerationAgent:
    settings = Settings()
    return load.moderation_agent(settings, load.load_policy(settings))


@pytest.fixture(scope="session")
def fraud() -> Callable[[dict[StateKey, bytes]], FraudAgent]:
    """The fraud agent over a state of the test's."""
    settings = Settings()
    bundle, model = load.fraud_model(settings)
    policy = load.load_policy(settings)

    def over(state: State) -> FraudAgent:
        return load.fraud_agent(bundle, model, policy, state)

    return over
