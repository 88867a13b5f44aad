"""What a sequence model reads of the past, and that it learns from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("lightgbm", reason="the extra `train` is not installed")
pytest.importorskip("torch", reason="the extra `train` is not installed")

from sklearn.metrics import roc_auc_score

from models.entry import Entry
from models.history import DAY_MS, HOUR_MS
from models.ledger import Ledger
from models.train.fraud_network import CARD, COLUMNS, SIZE, TERMINAL, Shape, fit
from models.train.fraud_protocol import gain
from models.train.fraud_sequence import Recorder
from models.train.fraud_table import Table

FRAUD, LEGITIMATE = 5, 6
"""Columns of a terminal's token."""
NOON = 18_000 * DAY_MS + 12 * HOUR_MS
MINUTE_MS = 60_000


class Shop:
    """One terminal and its cards; transactions by number."""

    def __init__(self) -> None:
        self.recorder = Recorder(("amount",), 0)
        self.ledger = Ledger(self.recorder)
        self.ledger.judge(0, known_ms=0, fraud=True)

    def pay(self, number: int, at_ms: int, *, card: str = "c", amount: int = 1000, place: str = "p") -> None:
        entry = Entry(at_ms, number, amount, 1, 1 + len(place))
        self.ledger.row(card, place, entry)
        self.ledger.add(card, place, entry)

    def last(self) -> tuple[np.ndarray, np.ndarray]:
        """The card's and the terminal's tokens that the newest transaction saw."""
        tokens = self.recorder.tokens()[-1].reshape(-1, COLUMNS)
        assert len(tokens) == CARD + TERMINAL
        card, terminal = (side[side[:, 0] == 1] for side in (tokens[:CARD], tokens[CARD:]))
        return card, terminal


def marks(tokens: np.ndarray, column: int) -> list[bool]:
    return [bool(value) for value in tokens[:, column]]


def test_of_the_terminal_nothing_is_seen_that_came_after_the_last_closed_hour() -> None:
    shop = Shop()
    shop.pay(1, NOON - MINUTE_MS, card="a")
    shop.pay(2, NOON + MINUTE_MS, card="b")
    shop.pay(3, NOON + 2 * MINUTE_MS)
    assert len(shop.last()[1]) == 1
    shop.pay(4, NOON + HOUR_MS + MINUTE_MS)
    assert len(shop.last()[1]) == 3


@pytest.mark.parametrize(("known_ms", "seen"), [(NOON - MINUTE_MS, True), (NOON + MINUTE_MS, False)])
def test_a_ruling_is_seen_from_the_hour_on_that_closed_after_it_was_known(known_ms: int, seen: bool) -> None:
    shop = Shop()
    shop.pay(1, NOON - 3 * DAY_MS)
    shop.ledger.judge(1, known_ms=known_ms, fraud=True)
    shop.pay(2, NOON + 2 * MINUTE_MS)
    assert marks(shop.last()[1], FRAUD) == [seen]


def test_what_nobody_ruled_on_counts_as_legitimate_when_a_week_has_passed_and_not_before() -> None:
    shop = Shop()
    shop.pay(1, NOON - 8 * DAY_MS, card="a")
    shop.pay(2, NOON - 6 * DAY_MS, card="b")
    shop.pay(3, NOON)
    tokens = shop.last()[1]
    assert marks(tokens, LEGITIMATE) == [False, True], "the newest comes first"
    assert marks(tokens, FRAUD) == [False, False]


def test_of_the_card_the_newest_are_seen_without_the_transaction_itself() -> None:
    shop = Shop()
    for number in range(CARD + 5):
        shop.pay(number + 1, NOON + number * HOUR_MS, place="q" if number % 2 else "pp")
    card, _ = shop.last()
    assert len(card) == CARD
    assert np.allclose(card[0, 1], np.log1p(1), atol=1e-3), "an hour ago"
    assert marks(card[:4], 6) == [False, True, False, True], "at the same place every other time"


def learnt(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features that say nothing, and terminals of which the two newest known transactions were fraud where this one is."""
    chance = np.random.default_rng(seed)
    tokens = np.zeros((rows, SIZE // COLUMNS, COLUMNS), np.float16)
    tokens[:, : CARD + 6, 0] = 1
    frauds = chance.random((rows, 6)) < 0.5
    tokens[:, CARD : CARD + 6, FRAUD] = frauds
    features = chance.normal(size=(rows, 3)).astype(np.float32)
    features[chance.random(features.shape) < 0.2] = np.nan
    return features, tokens.reshape(rows, SIZE), (frauds[:, 0] & frauds[:, 1]).astype(np.int8)


def test_the_network_learns_what_only_the_sequence_tells_and_twice_the_same() -> None:
    shape = Shape(epochs=4, batch=32, legitimate_share=1.0)
    models = [fit(*learnt(1_000, 0), shape) for _ in range(2)]
    features, tokens, truth = learnt(500, 1)
    first, second = (model.log_odds(features, tokens) for model in models)
    assert roc_auc_score(truth, first) > 0.95
    assert np.array_equal(first, second)
    assert np.allclose(models[0].log_odds(features[:1], tokens[:1]), first[:1], atol=1e-4), "alone as in a batch"


def test_a_gain_is_nothing_for_the_same_scores_and_clear_for_better_ones() -> None:
    chance = np.random.default_rng(0)
    labels = (chance.random(2_000) < 0.1).astype(np.int8)
    table = Table(("amount",), np.zeros((2_000, 1), np.float32), np.zeros(2_000, np.int64), labels, np.arange(2_000) % 500)
    rows = np.arange(2_000)

    def found(before: float, after: float) -> Sequence[float]:
        noise = chance.normal(size=2_000)
        return gain(table, [(rows, noise + before * labels, noise + after * labels)], draws=50)

    assert found(1, 1) == (0.0, 0.0, 0.0)
    mean, low, high = found(1, 2)
    assert 0 < low < mean < high
