"""A sequence model beside the trees: a small transformer over the last transactions of a transaction's card and terminal.

It reads what the trees' features are made of, with the same limits: the card up to the transaction, the terminal as of the last closed
hour, and rulings from when they became known. `flagstream evaluate fraud --sequence` measures it; it is not served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from math import cos, log1p, pi, sin
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from models.entry import NONE, Entry
from models.features import vector
from models.history import DAY_MS, HOUR_MS, History
from models.terminal import Terminal, closed_hour
from models.train import fraud, fraud_trees
from models.train.fraud_evaluate import Result
from models.train.fraud_network import CARD, COLUMNS, SIZE, TERMINAL, Shape, fit
from models.train.fraud_protocol import EPOCH, figures, gain, split
from models.train.fraud_settings import FraudTraining
from models.train.fraud_table import Table, build
from models.view import DELAY_MS, View

log = structlog.get_logger(__name__)

ALONE, BOTH = "sequence model", "trees + sequence model"
"""What the rows of the table are called."""


def card_tokens(view: View) -> Iterator[list[float]]:
    """Of each of the card's newest kept transactions in the same currency, newest first: `COLUMNS` numbers."""
    history, entry = view.history, view.entry
    if history is None:
        return
    median, earlier = max(view.median, 1.0), entry.at_ms
    for place in range(view.seen - 1, max(-1, view.seen - 1 - CARD), -1):
        if history.currencies[place] != entry.currency:
            continue
        at, amount = history.times[place], history.amounts[place]
        # Ages in hours: the pace of a card is one of days.
        yield [
            1.0, log1p((entry.at_ms - at) / HOUR_MS), log1p((earlier - at) / HOUR_MS), log1p(amount) - 8.0, log1p(amount) - log1p(median),
            log1p(entry.amount_minor) - log1p(amount), float(NONE != entry.place == history.places[place]), *_clock(at),
        ]  # fmt: skip
        earlier = at


def terminal_tokens(view: View) -> Iterator[list[float]]:
    """Of each of the terminal's newest transactions as of the last closed hour, newest first: `COLUMNS` numbers, among them whether it is
    known as fraud and for how long, and whether it is old enough to count as legitimate."""
    terminal, until = view.terminal, closed_hour(view.entry.at_ms)
    if terminal is None:
        return
    known = {tx: at for tx, at in zip(terminal.frauds.ids, terminal.frauds.times, strict=True) if at <= until}
    past = terminal.past
    newest = [place for place, at in enumerate(past.times) if at <= until][: -TERMINAL - 1 : -1]
    for place in newest:
        at, since, odd = past.times[place], known.get(past.ids[place]), past.lands[place]
        yield [
            1.0, log1p((until - at) / DAY_MS), log1p(past.amounts[place]) - 8.0, log1p((odd - 1) / 100) if odd else 0.0, float(not odd),
            float(since is not None), float(since is None and at <= until - DELAY_MS),
            0.0 if since is None else log1p((until - since) / DAY_MS), log1p(past.amounts[place]) - log1p(view.entry.amount_minor),
        ]  # fmt: skip


def _clock(at_ms: int) -> tuple[float, float]:
    turn = 2 * pi * (at_ms % DAY_MS) / DAY_MS
    return sin(turn), cos(turn)


class Recorder:
    """A vector that keeps, of every transaction from `since_ms` on, the sequences that it saw beside its features."""

    def __init__(self, names: Sequence[str], since_ms: int) -> None:
        self._vector = vector(names)
        self._since_ms = since_ms
        self._kept: list[NDArray[np.float16]] = []

    def __call__(self, history: History | None, entry: Entry, terminal: Terminal | None = None) -> list[float]:
        """The features."""
        if entry.at_ms >= self._since_ms:
            self._kept.append(sequences(View(history, entry, terminal)))
        return self._vector(history, entry, terminal)

    def tokens(self) -> NDArray[np.float16]:
        """[transactions, SIZE], in the order in which they were seen."""
        return np.stack(self._kept) if self._kept else np.empty((0, SIZE), np.float16)


def sequences(view: View) -> NDArray[np.float16]:
    """Both sequences in one row of `SIZE`, the card's first; what is missing is 0."""
    out = np.zeros(SIZE, np.float16)
    for start, tokens in ((0, card_tokens(view)), (CARD * COLUMNS, terminal_tokens(view))):
        flat = [value for token in tokens for value in token]
        out[start : start + len(flat)] = flat
    return out


def read(data: Path, training: FraudTraining, names: tuple[str, ...]) -> tuple[Table, NDArray[np.float16]]:
    """The table at `data` with its features, and the sequences of its last rows: those from `training.train_from` on."""
    recorder = Recorder(names, (training.train_from - EPOCH).days * DAY_MS)
    return build(data, training, names, compute=recorder), recorder.tokens()


def compare(table: Table, tokens: NDArray[np.float16], training: FraudTraining, weeks: Sequence[date]) -> list[Result]:
    """The network alone and with the trees (the mean of their log-odds) in every week, each refitted for it; `tokens` as `read` gives them.

    How much the network adds is logged with its 95 % interval."""
    earlier = len(table.rows) - len(tokens)
    results, tested = [], []
    for week in weeks:
        days = split(table, week, train_days=None, warm_until=training.train_from)
        trees = fraud_trees.log_odds(fraud.fit(table, days.train, training), table.rows[days.test])
        network = fit(table.rows[days.train], tokens[days.train - earlier], table.fraud[days.train], Shape(seed=training.trees.seed))
        alone = network.log_odds(table.rows[days.test], tokens[days.test - earlier])
        both = (trees + alone) / 2
        tested.append((days.test, trees, both))
        for name, odds in ((ALONE, alone), (BOTH, both)):
            found = figures(table, days.test, 1.0 / (1.0 + np.exp(-odds)))
            log.info("evaluate.result", contender=name, week=week.isoformat(), **found)
            positives = int(table.fraud[days.test].sum())
            results.append(Result(contender=name, week=week, rows=len(days.test), positives=positives, figures=found))
    log.info("evaluate.gain", figure="average_precision", **gain(table, tested)._asdict())
    return results
