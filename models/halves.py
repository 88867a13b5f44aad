"""A row of features in two halves: what the transaction and its card's past say, and what its terminal's does.

Transactions are keyed by card, terminals by terminal, so the halves are computed in different places; no feature needs both."""

from __future__ import annotations

from collections.abc import Sequence

from models.entry import Entry
from models.features import card_amount_over_median, vector
from models.history import History
from models.terminal import Terminal
from models.terminal_features import TERMINAL_FEATURES
from models.view import View

ALL_TERMINAL = tuple(feature.__name__ for feature in TERMINAL_FEATURES)
USUAL = "card_amount_over_median"
TERMINAL_NAMES = frozenset(ALL_TERMINAL)


class Halves:
    """The features `names` of a model, by side. Raises `BundleError` for a name that is not known."""

    def __init__(self, names: Sequence[str], *, source: str = "features") -> None:
        theirs = [name for name in names if name in TERMINAL_NAMES]
        ours = [name for name in names if name not in TERMINAL_NAMES]
        self.terminals = bool(theirs)
        """Whether the model asks for anything of the terminal."""
        self._usual = ours.index(USUAL) if USUAL in ours else None
        self._columns = [ALL_TERMINAL.index(name) for name in theirs]
        self._ours, self._theirs = vector(ours, source=source), vector(theirs, source=source)
        places = {name: place for place, name in enumerate((*ours, *theirs))}
        order = [places[name] for name in names]
        self._order = None if order == list(range(len(order))) else order

    def card(self, history: History | None, entry: Entry) -> list[float]:
        """The half of the transaction and its card's past."""
        return self._ours(history, entry)

    def over_usual(self, card: Sequence[float], history: History, entry: Entry) -> float:
        """The amount over the card's usual, whose half is `card`: what a terminal keeps of each of its transactions; NaN if not known."""
        return card_amount_over_median(View(history, entry)) if self._usual is None else card[self._usual]

    def terminal(self, entry: Entry, terminal: Terminal | None) -> list[float]:
        """The half of the terminal at the last closed hour before `entry`; all NaN where it is not known."""
        return self._theirs(None, entry, terminal)

    def pick(self, row: Sequence[float]) -> list[float]:
        """The half of the terminal, out of all features of that side."""
        return [row[column] for column in self._columns]

    def join(self, card: Sequence[float], terminal: Sequence[float]) -> list[float]:
        """The whole row, in the order of the names."""
        both = [*card, *terminal]
        return both if self._order is None else [both[place] for place in self._order]
