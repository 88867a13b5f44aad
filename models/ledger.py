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
from models.history import EMPTY, History, KnownFraud
from models.terminal import Terminal
from models.view import View
from schemas.transaction import Transaction
from schemas.verdict import Verdict

LABEL = "fraud"
_NEW = Terminal()


class _Seen(NamedTuple):
    card: str
    place: str | None
    at_ms: int


class Ledger:
    """Feed it transactions and verdicts in the order of their times; `row` gives a transaction's features.

    With `terminals=False` the terminal side is not known, and its features are NaN: so it must be where no verdicts come in,
    or every terminal would seem proven clean. Keeps the id of every transaction."""

    def __init__(self, vector: Vector, *, terminals: bool = True) -> None:
        self._vector = vector
        self._cards: dict[str, History] = {}
        self._terminals: dict[str, Terminal] | None = {} if terminals else None
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
        return self.judge(key64(verdict.event_id), known_ms=known_ms, fraud=verdict.outcome in ("fraud", "confirmed"))

    def row(self, card: str, place: str | None, entry: Entry) -> list[float]:
        """The features of a transaction of `card` at `place`, given everything fed so far."""
        terminals = self._terminals
        terminal = None if terminals is None or place is None else terminals.get(place, _NEW)
        return self._vector(self._cards.get(card, EMPTY), entry, terminal)

    def add(self, card: str, place: str | None, entry: Entry) -> None:
        """Fold a transaction in."""
        history = self._cards.get(card, EMPTY)
        if self._terminals is not None and place is not None:
            usual = View(history, entry).median
            self._terminals[place] = self._terminals.get(place, _NEW).add(entry, usual_minor=usual)
        self._cards[card] = history.add(entry)
        self._seen[entry.id] = _Seen(card, place, entry.at_ms)

    def judge(self, tx: int, *, known_ms: int, fraud: bool) -> bool:
        """Fold a ruling on the transaction with the entry id `tx` in; False if that was never fed."""
        seen = self._seen.get(tx)
        if seen is None:
            return False
        self._cards[seen.card] = self._cards[seen.card].judge(KnownFraud(known_ms, seen.at_ms, tx), fraud=fraud)
        if self._terminals is not None and seen.place is not None:
            terminal = self._terminals[seen.place]
            self._terminals[seen.place] = terminal.judge(tx=tx, at_ms=seen.at_ms, known_ms=known_ms, fraud=fraud)
        return True


def in_time_order(transactions: Iterable[Transaction], verdicts: Iterable[Verdict]) -> Iterator[Transaction | Verdict]:
    """Both by `occurred_at`; at the same moment verdicts first. Each is sorted here, so it need not be before."""
    return heapq.merge(sorted(verdicts, key=_moment), sorted(transactions, key=_moment), key=_moment)


def _moment(event: Transaction | Verdict) -> datetime:
    return event.occurred_at
