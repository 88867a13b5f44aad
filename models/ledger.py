"""Cards, terminals and verdicts folded in one process: the reference for what a stream of workers must answer.

Training builds its rows with it, and scoring a file without Kafka runs on it."""

from __future__ import annotations

from typing import NamedTuple

from models.entry import Entry
from models.features import Vector
from models.history import EMPTY, History, KnownFraud
from models.terminal import Terminal
from models.view import View

_NEW = Terminal()


class _Seen(NamedTuple):
    card: str
    place: str | None
    entry: Entry


class Ledger:
    """Feed it transactions and verdicts in the order of their times; `row` gives a transaction's features.

    With `terminals=False` the terminal side is not known, and its features are NaN. Keeps every transaction's id."""

    def __init__(self, vector: Vector, *, terminals: bool = True) -> None:
        self._vector = vector
        self._cards: dict[str, History] = {}
        self._terminals: dict[str, Terminal] | None = {} if terminals else None
        self._seen: dict[str, _Seen] = {}

    def row(self, card: str, place: str | None, entry: Entry) -> list[float]:
        """The features of a transaction, given everything fed so far."""
        terminals = self._terminals
        terminal = None if terminals is None or place is None else terminals.get(place, _NEW)
        return self._vector(self._cards.get(card, EMPTY), entry, terminal)

    def add(self, tx_id: str, card: str, place: str | None, entry: Entry) -> None:
        """Fold a transaction in."""
        history = self._cards.get(card, EMPTY)
        if self._terminals is not None and place is not None:
            usual = View(history, entry).median
            self._terminals[place] = self._terminals.get(place, _NEW).add(entry, usual_minor=usual)
        self._cards[card] = history.add(entry)
        self._seen[tx_id] = _Seen(card, place, entry)

    def judge(self, tx_id: str, *, known_ms: int, fraud: bool) -> bool:
        """Fold a verdict on the transaction `tx_id` in; False if that was never fed."""
        seen = self._seen.get(tx_id)
        if seen is None:
            return False
        entry = seen.entry
        ruling = KnownFraud(known_ms, entry.at_ms, entry.id)
        self._cards[seen.card] = self._cards[seen.card].judge(ruling, fraud=fraud)
        if self._terminals is not None and seen.place is not None:
            self._terminals[seen.place] = self._terminals[seen.place].judge(
                tx=entry.id, at_ms=entry.at_ms, known_ms=known_ms, fraud=fraud
            )
        return True
