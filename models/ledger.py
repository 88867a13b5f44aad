"""Cards, terminals and verdicts folded in one process: the reference for what a stream of workers must answer.

Training builds its rows with it, and scoring a file without Kafka runs on it:

```python
ledger = Ledger(classifier.vector)
for event in in_time_order(transactions, verdicts):
    if isinstance(event, Verdict):
        ledger.learn(event)
    else:
        rows.append(ledger.see(event))
```
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from models.entry import Entry, key64
from models.features import Vector
from models.history import DAY_MS, EMPTY, History, KnownFraud
from models.standing import CLEARED, FRAUD, UNSEEN, VISIT, News, Standing
from models.terminal import closed_hour, oddity
from models.view import View
from schemas.transaction import Transaction
from schemas.verdict import Verdict

LABEL = "fraud"
POSITIVE = frozenset({"fraud", "confirmed"})
"""Outcomes of a verdict that say so."""


VERDICT_HORIZON_MS = 45 * DAY_MS
"""A verdict that becomes known later than this after its transaction counts for nothing: nobody keeps transactions for ever."""


class _Seen(NamedTuple):
    card: str
    place: str | None
    at_ms: int


class Ledger:
    """Feed it transactions and verdicts in the order of their times; `row` gives a transaction's features.

    Terminals are known from the first closed hour on in which there was a verdict: where none comes in every terminal would seem
    proven clean. With `terminals=False` they are never known; what is not known is NaN. Keeps the id of every transaction."""

    def __init__(self, vector: Vector, *, terminals: bool = True) -> None:
        self._vector = vector
        self._cards: dict[str, History] = {}
        self._terminals: dict[str, Standing] | None = {} if terminals else None
        self._first_ms: int | None = None
        """When the first verdict on fraud was known."""
        self._seen: dict[int, _Seen] = {}

    def see(self, tx: Transaction) -> list[float]:
        """The features of `tx`, which is folded in."""
        tenant = "" if tx.tenant is None else f"{tx.tenant}\x1f"
        place = tx.terminal_id or tx.merchant_id or tx.payee_id
        card, place, entry = tenant + tx.entity, None if place is None else tenant + place, Entry.of(tx)
        row = self.row(card, place, entry)
        self.add(card, place, entry)
        return row

    def learn(self, verdict: Verdict) -> bool:
        """Fold `verdict` in; False if it is not about fraud or its transaction was never seen."""
        if verdict.label != LABEL:
            return False
        known_ms = int(verdict.occurred_at.timestamp() * 1000)
        return self.judge(key64(verdict.event_id), known_ms=known_ms, fraud=verdict.outcome in POSITIVE)

    def row(self, card: str, place: str | None, entry: Entry) -> list[float]:
        """The features of a transaction of `card` at `place`, given everything fed so far."""
        terminals, first_ms, closed_ms = self._terminals, self._first_ms, closed_hour(entry.at_ms)
        if terminals is None or place is None or first_ms is None or first_ms > closed_ms:
            return self._vector(self._cards.get(card, EMPTY), entry, None)
        return self._vector(self._cards.get(card, EMPTY), entry, terminals.get(place, UNSEEN).at(closed_ms))

    def add(self, card: str, place: str | None, entry: Entry) -> None:
        """Fold a transaction in."""
        history = self._cards.get(card, EMPTY)
        if self._terminals is not None and place is not None:
            odd = oddity(entry.amount_minor / max(View(history, entry).median, 1.0))
            news = News(entry.at_ms, VISIT, entry.at_ms, entry.id, entry.amount_minor, entry.currency, odd)
            standing = self._terminals.get(place, UNSEEN)
            self._terminals[place] = standing.hear(news, closed_ms=closed_hour(entry.at_ms))
        self._cards[card] = history.add(entry)
        self._seen[entry.id] = _Seen(card, place, entry.at_ms)

    def judge(self, tx: int, *, known_ms: int, fraud: bool) -> bool:
        """Fold a ruling on the transaction with the entry id `tx` in; False if that was never fed, or too long ago."""
        self._first_ms = known_ms if self._first_ms is None else min(self._first_ms, known_ms)
        seen = self._seen.get(tx)
        if seen is None or known_ms - seen.at_ms > VERDICT_HORIZON_MS:
            return False
        self._cards[seen.card] = self._cards[seen.card].judge(KnownFraud(known_ms, seen.at_ms, tx), fraud=fraud)
        if self._terminals is not None and seen.place is not None:
            news = News(known_ms, FRAUD if fraud else CLEARED, seen.at_ms, tx, known_ms)
            self._terminals[seen.place] = self._terminals[seen.place].hear(news, closed_ms=closed_hour(known_ms))
        return True


def in_time_order(transactions: Iterable[Transaction], verdicts: Iterable[Verdict]) -> Iterator[Transaction | Verdict]:
    """Both by `occurred_at`; at the same moment verdicts first. Each is sorted here, so it need not be before."""
    return heapq.merge(sorted(verdicts, key=_moment), sorted(transactions, key=_moment), key=_moment)


def _moment(event: Transaction | Verdict) -> datetime:
    return event.occurred_at
