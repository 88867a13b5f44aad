from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.entry import Entry
from models.features import FEATURES, vector
from models.history import EMPTY, History
from models.ledger import Ledger, in_time_order
from models.terminal import Terminal
from models.view import View
from schemas.transaction import Transaction
from schemas.verdict import Verdict, VerdictOutcome

START = datetime(2020, 1, 1, tzinfo=UTC)


def payment(
    number: int, *, days: float, card: str = "c", place: str | None = "shop", amount: int = 500, tenant: str | None = None
) -> Transaction:
    return Transaction(
        id=f"t{number}", occurred_at=START + timedelta(days=days), account_id="a", card_id=card, amount_minor=amount, currency="EUR",
        terminal_id=place, tenant=tenant,
    )  # fmt: skip


def ruling(number: int, *, days: float, outcome: VerdictOutcome = "fraud", label: str = "fraud") -> Verdict:
    moment = START + timedelta(days=days)
    return Verdict(id=f"v{number}", event_id=f"t{number}", label=label, outcome=outcome, source="chargeback", occurred_at=moment)


def rows(events: list[Transaction | Verdict], names: list[str]) -> dict[str, list[float]]:
    ledger = Ledger(vector(names))
    # Some other verdict, so that terminals are known from the start.
    ledger.learn(ruling(-1, days=-1))
    found = {}
    for event in in_time_order([e for e in events if isinstance(e, Transaction)], [e for e in events if isinstance(e, Verdict)]):
        if isinstance(event, Verdict):
            ledger.learn(event)
        else:
            found[event.id] = ledger.see(event)
    return found


KNOWN = ["terminal_frauds_30d"]


def test_a_verdict_counts_from_its_own_time() -> None:
    found = rows([payment(1, days=0), ruling(1, days=7), payment(2, days=6.9), payment(3, days=8)], KNOWN)
    assert found == {"t1": [0], "t2": [0], "t3": [1]}


@pytest.mark.parametrize("outcome", ["legitimate", "overturned"])
def test_a_later_verdict_takes_an_earlier_one_back(outcome: VerdictOutcome) -> None:
    events: list[Transaction | Verdict] = [payment(1, days=0), payment(2, days=10)]
    events += [ruling(1, days=7, outcome="confirmed"), ruling(1, days=9, outcome=outcome)]
    assert rows(events, KNOWN)["t2"] == [0]


def test_verdicts_of_other_labels_or_unknown_transactions_change_nothing() -> None:
    ledger = Ledger(vector(KNOWN))
    ledger.see(payment(1, days=0))
    assert not ledger.learn(ruling(1, days=1, label="spam"))
    assert not ledger.learn(ruling(99, days=1))
    assert ledger.learn(ruling(1, days=1))


def test_tenants_do_not_share_cards_or_terminals() -> None:
    ledger = Ledger(vector(["card_count_7d", "terminal_count_7d"]))
    ledger.learn(ruling(-1, days=-1))
    ledger.see(payment(1, days=0, tenant="north"))
    assert ledger.see(payment(2, days=1, tenant="south")) == [0, 0]
    assert ledger.see(payment(3, days=1, tenant="north")) == [1, 1]


def test_without_terminals_nothing_is_said_of_them() -> None:
    ledger = Ledger(vector(["terminal_count_7d", "terminal_streak"]), terminals=False)
    ledger.see(payment(1, days=0))
    assert all(isnan(value) for value in ledger.see(payment(2, days=1)))


def test_terminals_are_not_known_before_the_first_verdict_whatever_it_is_on() -> None:
    ledger = Ledger(vector(["terminal_count_7d"]))
    ledger.see(payment(1, days=0))
    assert isnan(ledger.see(payment(2, days=1))[0])
    ledger.learn(ruling(99, days=1.5, outcome="legitimate"))
    assert ledger.see(payment(3, days=2)) == [2]


TERMINAL_SIDE = [name for name in FEATURES if name.startswith("terminal_")]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_terminals_kept_elsewhere_give_the_same_answers(seed: int) -> None:
    """As workers do it: terminals live apart, and reach their reader as bytes, always up to date to the last closed hour and
    sometimes far ahead of it."""
    chance = random.Random(seed)
    transactions = [
        payment(number, days=chance.uniform(0, 30), card=f"c{number % 3}", place=f"p{chance.randrange(3)}", amount=chance.randrange(10_000))
        for number in range(80)
    ]
    verdicts = [
        ruling(number, days=(tx.occurred_at - START).days + chance.uniform(1, 12)) for number, tx in enumerate(transactions) if number % 3
    ]
    events = list(in_time_order(transactions, verdicts))
    expected = rows(events, TERMINAL_SIDE)

    terminals: dict[str, Terminal] = {}
    cards: dict[str, History] = {}
    seen: dict[str, tuple[str, Entry]] = {}
    done = 0
    compute = vector(TERMINAL_SIDE)
    for place, event in enumerate(events):
        while done < min(len(events), place + chance.choice([1, 1, 1, 15])):
            fold(events[done], terminals, cards, seen)
            done += 1
        if isinstance(event, Transaction):
            shown = Terminal.from_bytes(terminals[str(event.terminal_id)].to_bytes())
            assert compute(None, Entry.of(event), shown) == pytest.approx(expected[event.id], nan_ok=True)


def fold(
    event: Transaction | Verdict, terminals: dict[str, Terminal], cards: dict[str, History], seen: dict[str, tuple[str, Entry]]
) -> None:
    if isinstance(event, Verdict):
        place, entry = seen[event.event_id]
        known_ms = int(event.occurred_at.timestamp() * 1000)
        terminals[place] = terminals[place].judge(tx=entry.id, at_ms=entry.at_ms, known_ms=known_ms, fraud=True)
        return
    place, entry, history = str(event.terminal_id), Entry.of(event), cards.get(event.entity, EMPTY)
    terminals[place] = terminals.get(place, Terminal()).add(entry, usual_minor=View(history, entry).median)
    cards[event.entity] = history.add(entry)
    seen[event.id] = place, entry
