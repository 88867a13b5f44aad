"""What tests of one scene share: a fresh topic, and waiting for something to become true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from tests.conformance.client import TIMEOUT_S, Client, Member, Refused


class MakeTopic(Protocol):
    """Creates a topic that no other test uses, and returns its name when every partition has a leader."""

    def __call__(self, *, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str: ...


class Join(Protocol):
    """Joins a group, until the test ends at the latest."""

    def __call__(self, client: Client, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> Member: ...


def partitions_of(client: Client, topic: str) -> int:
    """How many partitions the topic has; 0 while it is unknown."""
    try:
        return client.partitions(topic)
    except Refused:
        return 0


def until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Returns when the condition holds; fails when it does not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.02)
