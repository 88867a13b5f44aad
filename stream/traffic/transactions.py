"""The payments of all cards in event time, with the frauds among them and, if wanted, the chargebacks that follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream.traffic.cardholders import DAY_S, Cardholder
from stream.traffic.event import Truth, tag
from stream.traffic.places import Places
from stream.traffic.schemes import (
    SCHEMES,
    STOLEN_PER_CARD_DAY,
    TESTED_PER_CARD_DAY,
    CrookedTerminals,
    Payment,
    Scheme,
    begins,
    card_testing,
    stolen_card,
)

REPORT_DELAY_DAYS = 7
"""A holder finds the fraud on the statement, and the chargeback becomes known, this long after the payment."""

CURRENCY = "EUR"
_HONEST = Truth(kind="legitimate", detail="legitimate")
_FRAUD = {scheme: Truth(kind="fraud", detail=scheme, labels=("fraud",)) for scheme in SCHEMES}
_REPORTED = Truth(kind="verdict", detail="chargeback")


def transactions(
    seed: int, *, start: datetime, cards: int = 500, verdicts: bool = False
) -> Iterator[tuple[Transaction | Verdict, Truth]]:
    """Payments from `start` on, without end, in order of `occurred_at`: about two a day of a card, one at a terminal.

    With `verdicts`, each fraud is followed by a chargeback in its time. Raises `ValueError` below 25 cards."""
    rng = Random(f"{seed}:transactions")
    places = Places.draw(rng, terminals=2 * cards)
    holders = tuple(Cardholder.draw(rng, places) for _ in range(cards))
    made, reported, name = 0, 0, tag(seed)
    pending: defaultdict[int, list[tuple[float, str]]] = defaultdict(list)
    for day, payments in enumerate(_days(rng, places, holders)):
        reports = sorted(pending.pop(day, ()), reverse=True)
        for payment in payments:
            while reports and reports[-1][0] <= payment.second:
                reported += 1
                yield _chargeback(*reports.pop(), f"vd-{name}-{reported:06d}", start), _REPORTED
            made += 1
            body = _transaction(payment, f"tx-{name}-{made:08d}", start)
            if verdicts and payment.scheme:
                known = payment.second + REPORT_DELAY_DAYS * DAY_S
                pending[day + REPORT_DELAY_DAYS].append((known, body.id))
            yield body, _FRAUD[payment.scheme] if payment.scheme else _HONEST
        # Those that become known after the day's last payment.
        for second, event_id in reversed(reports):
            reported += 1
            yield _chargeback(second, event_id, f"vd-{name}-{reported:06d}", start), _REPORTED


def _days(rng: Random, places: Places, holders: tuple[Cardholder, ...]) -> Iterator[list[Payment]]:
    """The payments of each day in order of time; a scheme that runs past midnight goes on in the days that follow."""
    later: defaultdict[int, list[Payment]] = defaultdict(list)
    crooked = CrookedTerminals(rng, places.terminals)
    schedule = (
        (card_testing, TESTED_PER_CARD_DAY, rng.random()),
        (stolen_card, STOLEN_PER_CARD_DAY, rng.random()),
    )
    day = 0
    while True:
        crooked.dawn(day)
        for scheme, per_card_day, phase in schedule:
            for _ in range(begins(day, per_card_day * len(holders), phase)):
                for payment in scheme(rng, rng.choice(holders), places, day=day):
                    later[int(payment.second // DAY_S)].append(payment)
        today = later.pop(day, [])
        for holder in holders:
            for second in holder.times(rng):
                terminal = holder.shop(rng, places)
                taken: Scheme | None = "compromised_terminal" if crooked.takes(terminal) else None
                today.append(Payment(day * DAY_S + second, holder, terminal, holder.amount_minor(rng), taken))
        today.sort(key=lambda payment: payment.second)
        yield today
        day += 1


def _transaction(payment: Payment, name: str, start: datetime) -> Transaction:
    card, terminal = payment.card, payment.terminal
    online = terminal.town is None
    return Transaction(
        id=name, occurred_at=start + timedelta(seconds=round(payment.second, 3)),
        account_id=card.account_id, card_id=card.card_id, amount_minor=payment.amount_minor, currency=CURRENCY,
        merchant_id=terminal.merchant_id, terminal_id=terminal.id, mcc=terminal.mcc,
        channel="online" if online else "pos", country=terminal.country,
        device_id=card.device_id if online and payment.scheme is None else None,
    )


def _chargeback(second: float, event_id: str, name: str, start: datetime) -> Verdict:
    return Verdict(
        id=name, event_id=event_id, label="fraud", outcome="fraud", source="chargeback",
        occurred_at=start + timedelta(seconds=round(second, 3)),
    )
