"""The state benchmark on a small table."""

from __future__ import annotations

from stream.bench.keeper import KeeperAgent, values
from stream.bench.state import run_state


def test_values_are_written_through_the_changelog_and_all_come_back() -> None:
    figures = run_state(writes=1_000, keys=100)
    assert figures["missing"] == 0
    assert 100 <= figures["changelog_records"] <= 1_000
    assert figures["writes_per_s"] > 0
    assert figures["restore_records_per_s"] > 0
    # A key holds at least its latest value.
    assert figures["bytes_per_key"] > min(map(len, values()))


def test_the_keeper_applies_a_record_once() -> None:
    from datetime import UTC, datetime

    from agents.protocol import StateKey
    from schemas.codec import Position, RawRecord

    state: dict[StateKey, bytes] = {}
    raws = [RawRecord(Position("transactions", 0, offset), b"card", b"{}", 1_000) for offset in range(5)]
    agent = KeeperAgent(state)
    first = agent.handle(raws, at=datetime.now(UTC))
    state.update(first.state)
    again = agent.handle(raws, at=datetime.now(UTC))
    assert (first.redelivered, len(first.state)) == (0, 1)
    assert (again.redelivered, again.state) == (5, {})
