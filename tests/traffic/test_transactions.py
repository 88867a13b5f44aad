"""The payments: honest ones as the model's training knows them, three kinds of fraud, and chargebacks a week later."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from statistics import mean

import pytest

from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream.traffic.event import Truth
from stream.traffic.schemes import SCHEMES
from stream.traffic.transactions import REPORT_DELAY_DAYS, transactions

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 45_000
Payments = list[tuple[Transaction, Truth]]


@pytest.fixture(scope="module")
def payments() -> Payments:
    taken = islice(transactions(5, start=START), COUNT)
    return [(body, truth) for body, truth in taken if isinstance(body, Transaction)]


def test_event_time_never_goes_back(payments: Payments) -> None:
    assert payments[0][0].occurred_at >= START
    assert all(a.occurred_at <= b.occurred_at for (a, _), (b, _) in pairwise(payments))


def test_between_half_a_percent_and_one_percent_is_fraud_of_every_scheme(payments: Payments) -> None:
    schemes = Counter(truth.detail for _, truth in payments if truth.kind == "fraud")
    assert set(schemes) == set(SCHEMES)
    assert 0.005 <= schemes.total() / COUNT <= 0.011
    assert min(schemes.values()) > 0.1 * schemes.total()
    assert all(truth.labels == ("fraud",) for _, truth in payments if truth.kind == "fraud")


def test_honest_payments_are_everyday_ones(payments: Payments) -> None:
    honest = [body for body, truth in payments if truth.kind == "legitimate"]
    assert all(50 <= body.amount_minor <= 21_500 and body.currency == "EUR" for body in honest)
    days = (payments[-1][0].occurred_at - START) / timedelta(days=1)
    of_card = defaultdict(list)
    for body in honest:
        of_card[body.card_id].append(body.amount_minor)
    assert 450 < len(of_card) <= 500
    assert max(len(amounts) for amounts in of_card.values()) / days < 5
    means = [mean(amounts) for amounts in of_card.values() if len(amounts) > 20]
    assert min(means) > 350
    assert max(means) < 13_000
    assert 4_000 < mean(means) < 6_500


def test_a_terminal_sees_about_one_payment_a_day(payments: Payments) -> None:
    days = (payments[-1][0].occurred_at - START) / timedelta(days=1)
    assert 0.5 < COUNT / days / len({body.terminal_id for body, _ in payments}) < 2


def test_a_tested_card_sees_tiny_amounts_and_then_big_ones_within_the_hour(payments: Payments) -> None:
    tested = defaultdict(list)
    for body, truth in payments:
        if truth.detail == "card_testing":
            tested[body.card_id].append(body)
    once = [found for found in tested.values() if found[-1].occurred_at - found[0].occurred_at < timedelta(hours=2)]
    assert once
    for found in once[:-1]:
        small = [body.amount_minor < 200 for body in found]
        assert small == sorted(small, reverse=True)
        assert small.count(True) >= 2
        assert all(body.amount_minor >= 24_000 for body in found if body.amount_minor >= 200)


def test_a_stolen_card_is_used_far_above_its_usual_amount(payments: Payments) -> None:
    amounts: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
    for body, truth in payments:
        amounts[truth.detail, body.card_id].append(body.amount_minor)
    ratios = [
        mean(stolen) / mean(amounts["legitimate", card])
        for (detail, card), stolen in list(amounts.items())
        if detail == "stolen_card" and len(amounts["legitimate", card]) > 20
    ]
    assert ratios
    assert min(ratios) > 2.5


def test_a_crooked_terminal_takes_usual_amounts_mostly_fraudulent(payments: Payments) -> None:
    bad = [body for body, truth in payments if truth.detail == "compromised_terminal"]
    busiest = Counter(body.terminal_id for body in bad).most_common(1)[0][0]
    times = [body.occurred_at for body in bad if body.terminal_id == busiest]
    meanwhile = [
        truth.kind for body, truth in payments
        if body.terminal_id == busiest and times[0] <= body.occurred_at <= times[-1]
    ]
    assert meanwhile.count("fraud") / len(meanwhile) > 0.6
    assert max(body.amount_minor for body in bad) <= 21_500


def test_every_card_has_an_account_and_no_card_number(payments: Payments) -> None:
    accounts = defaultdict(set)
    for body, _ in payments:
        assert body.card_id is not None
        accounts[body.card_id].add(body.account_id)
        assert body.card_id.startswith("tok_")
        assert body.entity == body.card_id
    assert all(len(found) == 1 for found in accounts.values())


def test_ids_are_unique_and_payments_come_again_from_their_seed() -> None:
    def paid(seed: int) -> list[tuple[Transaction | Verdict, Truth]]:
        return list(islice(transactions(seed, start=START, cards=50), 2000))

    assert paid(1) == paid(1)
    assert len({body.id for body, _ in paid(1)}) == 2000
    assert {body.id for body, _ in paid(1)}.isdisjoint(body.id for body, _ in paid(2))


def test_a_chargeback_follows_every_fraud_after_its_delay_and_changes_no_payment() -> None:
    stream = list(islice(transactions(9, start=START, cards=200, verdicts=True), 20_000))
    assert all(a.occurred_at <= b.occurred_at for (a, _), (b, _) in pairwise(stream))
    paid = [(body, truth) for body, truth in stream if isinstance(body, Transaction)]
    assert paid == list(islice(transactions(9, start=START, cards=200), len(paid)))
    delay = timedelta(days=REPORT_DELAY_DAYS)
    end = stream[-1][0].occurred_at
    expected = {body.id: body.occurred_at + delay for body, truth in paid if truth.kind == "fraud"}
    reported = {body.event_id: body.occurred_at for body, _ in stream if isinstance(body, Verdict)}
    assert reported == {name: at for name, at in expected.items() if at <= end}
    assert len(reported) > 50


def test_a_world_of_too_few_cards_is_refused() -> None:
    with pytest.raises(ValueError, match="50 terminals"):
        next(transactions(1, start=START, cards=24))
