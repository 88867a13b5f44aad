"""Figures of merit for scores against truth, in numpy alone, so that serving code and re-fitting need no scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32] | NDArray[np.float64]
Truth = NDArray[np.bool_]
Figure = Callable[[Truth, Scores], float]


def auc(truth: Truth, scores: Scores) -> float:
    """Area under the ROC curve, ties counted half (Mann-Whitney); nan when a class is absent."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(truth: Truth, scores: Scores) -> float:
    """Mean of the precision at each positive's rank, ties taken together; nan without positives."""
    if not truth.any():
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    hits = np.cumsum(truth[order])
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    precision = hits[last_of_tie] / (last_of_tie + 1)
    recall = hits[last_of_tie] / hits[-1]
    return float(np.sum(precision * np.diff(recall, prepend=0.0)))


def f1(truth: Truth, predicted: Truth) -> float:
    """Harmonic mean of precision and recall of the positive class; 0 where there is nothing to find or nothing found."""
    found = int((truth & predicted).sum())
    total = int(truth.sum()) + int(predicted.sum())
    return 2 * found / total if total else 0.0


def macro_f1(truth: Truth, predicted: Truth) -> float:
    """Mean of `f1` for the positive and the negative class."""
    return (f1(truth, predicted) + f1(~truth, ~predicted)) / 2


def best_threshold(truth: Truth, scores: Scores) -> float:
    """The score from which on calling a text positive gives the highest macro-F1; for validation data only."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ranked = np.asarray(scores, np.float64)[order]
    hits = np.cumsum(truth[order]).astype(np.float64)
    called = np.arange(1, len(order) + 1, dtype=np.float64)
    positives, size = float(truth.sum()), float(len(truth))
    yes = 2 * hits / (called + positives)
    no = 2 * (size - positives - called + hits) / np.maximum(2 * size - called - positives, 1)
    # Only between different scores can a line be drawn.
    usable = np.append(np.diff(ranked) < 0, True)
    return float(ranked[int(np.argmax(np.where(usable, yes + no, -1)))])


def threshold_at(negatives: Scores, rate: float) -> float:
    """The smallest score that at most `rate` of the negatives reach."""
    ranked = np.sort(np.asarray(negatives, np.float64))[::-1]
    allowed = int(rate * len(ranked))
    if allowed >= len(ranked):
        return float(ranked[-1])
    return float(np.nextafter(ranked[allowed], np.inf))


def recall_at(truth: Truth, scores: Scores, rate: float) -> float:
    """Share of positives found when at most `rate` of the negatives are flagged; nan when a class is absent."""
    if not truth.any() or truth.all():
        return float("nan")
    return float((scores[truth] >= threshold_at(scores[~truth], rate)).mean())


def bootstrap(
    figure: Figure, truth: Truth, scores: Scores, *, rounds: int = 200, seed: int = 0, level: float = 0.95
) -> tuple[float, float]:
    """Interval of `figure` over samples drawn with replacement within each class, so that none is lost (percentile bootstrap)."""
    rng = np.random.default_rng(seed)
    yes, no = np.flatnonzero(truth), np.flatnonzero(~truth)
    values = []
    for _ in range(rounds):
        drawn = np.concatenate([rng.choice(yes, len(yes)), rng.choice(no, len(no))])
        values.append(figure(truth[drawn], scores[drawn]))
    tail = (1 - level) / 2
    return float(np.quantile(values, tail)), float(np.quantile(values, 1 - tail))
