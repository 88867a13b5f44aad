"""The fraud agent over the shipped model: what holds for any way its records may come."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.fraud import FraudAgent
from agents.protocol import StateKey
from schemas.codec import Position, RawRecord
from schemas.flag import Flag

NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)
State = dict[StateKey, bytes]
Records = Callable[[str, int], list[RawRecord]]
Over = Callable[[State], FraudAgent]

any_batching = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _drive(agent: FraudAgent, state: State, batches: Sequence[Sequence[RawRecord]]) -> dict[str, Flag]:
    flags = {}
    for batch in batches:
        outcome = agent.handle(batch, at=NOW)
        state.update(outcome.state)
        flags.update({flag.id: flag for flag in outcome.flags})
    return flags


def _cut(records: Sequence[RawRecord], chance: random.Random) -> list[Sequence[RawRecord]]:
    batches, at = [], 0
    while at < len(records):
        size = chance.choice([1, 2, 7, 64, 300])
        batches.append(records[at : at + size])
        at += size
    return batches


@any_batching
@given(st.integers())
def test_flags_and_state_do_not_depend_on_how_records_are_batched(records: Records, fraud: Over, seed: int) -> None:
    many = records("transactions", 1_200)
    whole: State = {}
    pieces: State = {}
    expected = _drive(fraud(whole), whole, [many])
    assert _drive(fraud(pieces), pieces, _cut(many, random.Random(seed))) == expected != {}
    assert pieces == whole


@any_batching
@given(st.integers(0, 1_199), st.integers(1, 400))
def test_records_delivered_again_change_no_score_and_count_once(records: Records, fraud: Over, at: int, again: int) -> None:
    many = records("transactions", 1_200)
    once: State = {}
    twice: State = {}
    expected = _drive(fraud(once), once, [many])
    start = max(0, at - again)
    found = _drive(fraud(twice), twice, [many[:at], many[start:at], many[at:]])
    assert found == expected
    assert twice == once


def test_transactions_from_the_future_are_refused_and_leave_the_history_alone(records: Records, fraud: Over) -> None:
    raw = records("transactions", 50)[0]
    early = raw._replace(timestamp_ms=1_600_000_000_000)
    state: State = {}
    outcome = fraud(state).handle([early], at=NOW)
    assert [letter.error_class for letter in outcome.dead_letters] == ["FromTheFuture"]
    assert not outcome.state


def test_tenants_do_not_share_the_history_of_a_card(fraud: Over) -> None:
    def raw(offset: int, tenant: str) -> RawRecord:
        value = (
            f'{{"id":"t","occurred_at":"2026-11-01T00:00:00Z","account_id":"a","card_id":"c","amount_minor":100,"currency":"EUR",'
            f'"tenant":"{tenant}"}}'
        )
        return RawRecord(Position("transactions", 0, offset), b"c", value.encode(), 1_795_000_000_000)

    outcome = fraud({}).handle([raw(0, "one"), raw(1, "two")], at=NOW)
    assert len(outcome.state) == 2


def test_a_history_of_an_unknown_version_starts_anew_instead_of_stopping_the_stream(records: Records, fraud: Over) -> None:
    raw = next(iter(records("transactions", 10)))
    state: State = {}
    key = next(iter(fraud(state).handle([raw], at=NOW).state))
    state[key] = b"\x00" * 16 + b"\xff not a history"
    outcome = fraud(state).handle([raw], at=NOW)
    assert key in outcome.state
    assert not outcome.dead_letters
