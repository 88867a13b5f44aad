"""The Fraud Detection Handbook's protocol: which transactions train, which are tested, and the figures it reports.

Le Borgne, Siblini, Lebichot, Bontempi: Reproducible Machine Learning for Credit Card Fraud Detection, chapters 3.3 and 4:
train on some days, leave a delay (7 days) in which frauds are not known yet, test the days after it (7), without the cards
that are known to be compromised by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from models.train.fraud_table import DAY_MS, Table

EPOCH = date(1970, 1, 1)
DELAY_DAYS = 7
TEST_DAYS = 7
WEEK_DAYS = 7

HANDBOOK_WEEK = date(2018, 8, 8)
TEST_WEEKS = (date(2018, 7, 18), date(2018, 7, 25), date(2018, 8, 1), HANDBOOK_WEEK)
"""First days of the test weeks: the last four of the data, fixed before any model was fitted."""
VALIDATION_WEEKS = (date(2018, 6, 20), date(2018, 6, 27), date(2018, 7, 4), date(2018, 7, 11))
"""First days of the weeks that features and settings were chosen on; they end before the first test week."""
REVIEW_COST = 5.0
"""What looking at one transaction costs, in the units of `amount`, for the money saved."""
CARDS_A_DAY = 100
"""Cards that investigators can look at in a day, for card precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Indices into a table: what is trained on, and what is tested."""

    train: NDArray[np.intp]
    test: NDArray[np.intp]


def split(table: Table, test_from: date, *, train_days: int | None = WEEK_DAYS, warm_until: date | None = None) -> Split:
    """The handbook's split for the test week that begins on `test_from`.

    Trains on the `train_days` before the delay; None takes all days from `warm_until` on. A card is known to be compromised on a
    test day if it had a fraud in the handbook's training week or up to the day before the delay, whatever is trained on."""
    first_test = (test_from - EPOCH).days
    first_week = first_test - DELAY_DAYS - WEEK_DAYS
    last_train = first_test - DELAY_DAYS - 1
    earliest = 0 if warm_until is None else (warm_until - EPOCH).days
    first_train = earliest if train_days is None else last_train - train_days + 1
    days = table.times // DAY_MS
    train = np.flatnonzero((days >= first_train) & (days <= last_train))
    week = (days >= first_week) & (days <= last_train)
    known = set(table.accounts[week & (table.fraud == 1)].tolist())
    tested = []
    for day in range(first_test, first_test + TEST_DAYS):
        # As in the handbook: on each test day the frauds of one more day, the delay before it, have become known.
        newly = (days == day - DELAY_DAYS - 1) & (table.fraud == 1)
        known |= set(table.accounts[newly].tolist())
        today = np.flatnonzero(days == day)
        tested.append(today[~np.isin(table.accounts[today], list(known))])
    return Split(train=train, test=np.concatenate(tested))


def figures(table: Table, test: NDArray[np.intp], scores: NDArray[np.floating]) -> dict[str, float]:
    """AUC ROC, average precision, card precision@100, recall at 0.1 % false positives and money saved, of `scores` (probabilities)
    on the `test` rows."""
    fraud = table.fraud[test]
    return {
        "auc": float(roc_auc_score(fraud, scores)),
        "average_precision": float(average_precision_score(fraud, scores)),
        "card_precision_100": card_precision(table, test, scores, cards=CARDS_A_DAY),
        "recall_at_0.1%_fpr": recall_at_fpr(fraud, scores, fpr=0.001),
        "money_saved": money_saved(table.rows[test, table.names.index("amount")], fraud, scores, cost=REVIEW_COST),
    }


def card_precision(table: Table, test: NDArray[np.intp], scores: NDArray[np.floating], *, cards: int) -> float:
    """Mean over the days of: compromised cards among the `cards` with the highest score / `cards`.

    A compromised card that was found is not looked at again on later days."""
    days = table.times[test] // DAY_MS
    found: set[int] = set()
    shares = []
    for day in np.unique(days):
        today = np.flatnonzero(days == day)
        best: dict[int, tuple[float, int]] = {}
        for account, score, fraud in zip(
            table.accounts[test[today]].tolist(), scores[today].tolist(), table.fraud[test[today]].tolist(), strict=True
        ):
            if account not in found:
                top, bad = best.get(account, (-np.inf, 0))
                best[account] = (max(top, score), max(bad, fraud))
        ranked = sorted(best, key=lambda account: (-best[account][0], account))[:cards]
        hits = {account for account in ranked if best[account][1]}
        shares.append(len(hits) / cards)
        found |= hits
    return float(np.mean(shares))


def recall_at_fpr(fraud: NDArray[np.int8], scores: NDArray[np.floating], *, fpr: float) -> float:
    """Share of frauds above the score that at most `fpr` of the legitimate transactions exceed."""
    legitimate = np.sort(scores[fraud == 0])[::-1]
    bound = legitimate[int(fpr * len(legitimate))]
    return float((scores[fraud == 1] > bound).mean())


def money_saved(amounts: NDArray[np.float32], fraud: NDArray[np.int8], probabilities: NDArray[np.floating], *, cost: float) -> float:
    """Share of the fraudulent money that is saved by looking at each transaction whose expected loss exceeds the `cost` of looking:
    (fraud found - cost of all looks) / all fraud. Negative where looking costs more than it finds."""
    looked = probabilities * amounts > cost
    return float((amounts[looked & (fraud == 1)].sum() - cost * looked.sum()) / amounts[fraud == 1].sum())


class Gain(NamedTuple):
    """A mean difference over weeks, and the 95 % interval of it."""

    mean: float
    low: float
    high: float


def gain(table: Table, tested: Sequence[tuple[NDArray[np.intp], NDArray[np.floating], NDArray[np.floating]]], *, draws: int = 200, seed: int = 0) -> Gain:
    """By how much the average precision of the second scores exceeds that of the first: the mean over weeks of (rows, first, second), and the
    interval that drawing the cards anew gives."""
    chance = np.random.default_rng(seed)

    def once(*, redraw: bool) -> float:
        found = []
        # A card counts alike in all weeks: what it does in one is not independent of what it does in the next.
        weights = chance.poisson(1.0, table.accounts.max() + 1) if redraw else np.ones(table.accounts.max() + 1)
        for rows, before, after in tested:
            drawn, truth = weights[table.accounts[rows]], table.fraud[rows]
            first, second = (average_precision_score(truth, odds, sample_weight=drawn) for odds in (before, after))
            found.append(second - first)
        return float(np.mean(found))

    low, high = np.quantile([once(redraw=True) for _ in range(draws)], [0.025, 0.975])
    return Gain(round(once(redraw=False), 4), round(float(low), 4), round(float(high), 4))
