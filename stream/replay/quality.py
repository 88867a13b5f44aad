"""How good a model's scores and a policy's thresholds are, where verdicts say what was true.

Intervals are 95 % percentile intervals of a Poisson bootstrap over events (Hanley and MacGibbon 2006): each event counts
Poisson(1) times in each of `ROUNDS` repetitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.replay.record import MILLION, UNSCORED
from stream.replay.results import Results
from stream.replay.verdicts import UNKNOWN, Verdicts

ROUNDS = 200
DAY_MS = 86_400_000
CURVE_POINTS = 101
BINS = 10
SEED = 20_260_105

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The scored events of a run that have a verdict on `label`, and how many others there are, flagged and not."""

    label: str
    scores: NDArray[np.uint32]
    truth: NDArray[np.bool_]
    days: NDArray[np.int64]
    unknown: int
    unknown_flagged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Figures of one label, with their intervals (None where they cannot be given)."""

    label: str
    threshold: float | None
    known: int
    positives: int
    unknown: int
    unknown_flagged: int
    figures: dict[str, float | None]
    intervals: dict[str, Interval]
    precision_recall: list[tuple[float, float]]
    roc: list[tuple[float, float]]
    calibration: list[tuple[float, float, int]]
    """By bin of score: mean probability, share that was true, events."""
    precision_at: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "label": self.label, "threshold": self.threshold, "known": self.known, "positives": self.positives,
            "unknown": self.unknown, "unknown_flagged": self.unknown_flagged,
            **{name: None if value is None else round(value, 6) for name, value in self.figures.items()},
            "intervals": {name: value and [round(end, 6) for end in value] for name, value in self.intervals.items()},
            **self.precision_at,
            "calibration": [{"said": round(said, 6), "true": round(true, 6), "events": events} for said, true, events in self.calibration],
            "curves": {
                "recall_precision": [[round(x, 6), round(y, 6)] for x, y in self.precision_recall],
                "false_true_positive_rate": [[round(x, 6), round(y, 6)] for x, y in self.roc],
            },
        }


def known_of(results: Results, verdicts: Verdicts, label: str, threshold: int) -> Known:
    """What verdicts on `label` say of a run's events; `threshold` in millionths tells the flagged ones."""
    column = results.manifest.labels.index(label)
    scores, truth, days = [], [], []
    unknown = unknown_flagged = 0
    for _, rows in results.chunks():
        said = verdicts.truth(label, rows["event"])
        score = rows["scores"][:, column]
        scored = score != UNSCORED
        mine = scored & (said != UNKNOWN)
        others = scored & (said == UNKNOWN)
        unknown += int(others.sum())
        unknown_flagged += int((others & (score >= threshold)).sum())
        scores.append(score[mine])
        truth.append(said[mine] == 1)
        days.append(rows["at_ms"][mine] // DAY_MS)
    return Known(
        label=label, unknown=unknown, unknown_flagged=unknown_flagged, scores=np.concatenate(scores or [np.zeros(0, np.uint32)]),
        truth=np.concatenate(truth or [np.zeros(0, np.bool_)]), days=np.concatenate(days or [np.zeros(0, np.int64)]),
    )


def quality(known: Known, threshold: int, *, at: tuple[int, ...] = (20, 100)) -> Quality:
    """The figures of `known` for a review threshold in millionths (above one million: the label is never flagged)."""
    order = np.argsort(-known.scores.astype(np.int64), kind="stable")
    scores, truth = known.scores[order], known.truth[order]
    # Events with the same score cannot be told apart: figures are taken at the last of each.
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1) if len(scores) else np.zeros(0, np.int64)
    flagged = int(np.searchsorted(-scores.astype(np.int64), -threshold, "right"))
    figures = _figures(truth.astype(np.float64), np.ones(len(truth)), ends, flagged)
    rng = np.random.default_rng(SEED)
    drawn: dict[str, list[float]] = {name: [] for name in figures}
    if len(truth):
        for _ in range(ROUNDS):
            weights = rng.poisson(1.0, len(truth)).astype(np.float64)
            for name, value in _figures(weights * truth, weights, ends, flagged).items():
                if value is not None:
                    drawn[name].append(value)
    points = ends[np.linspace(0, len(ends) - 1, min(CURVE_POINTS, len(ends))).astype(np.int64)] if len(ends) else ends
    hits, called = np.cumsum(truth)[points], points + 1
    positives, negatives = int(truth.sum()), int((~truth).sum())
    return Quality(
        label=known.label, threshold=threshold / MILLION if threshold <= MILLION else None, known=len(truth), positives=positives,
        unknown=known.unknown, unknown_flagged=known.unknown_flagged, figures=figures,
        intervals={name: _interval(values) for name, values in drawn.items()},
        precision_recall=[(h / positives, h / c) for h, c in zip(hits.tolist(), called.tolist(), strict=True)] if positives else [],
        roc=[((c - h) / negatives, h / positives) for h, c in zip(hits.tolist(), called.tolist(), strict=True)]
        if positives and negatives else [],
        calibration=_calibration(scores, truth),
        precision_at={f"precision_at_{k}_a_day": _precision_at(known, k) for k in at},
    )


def _figures(
    hits: NDArray[np.float64], weights: NDArray[np.float64], ends: NDArray[np.int64], flagged: int
) -> dict[str, float | None]:
    """Precision, recall, average precision and area under the ROC curve of weighted events in descending order of score."""
    caught, called = np.cumsum(hits), np.cumsum(weights)
    positives = float(caught[-1]) if len(hits) else 0.0
    negatives = float(called[-1]) - positives if len(hits) else 0.0
    found = float(caught[flagged - 1]) if flagged else 0.0
    asked = float(called[flagged - 1]) if flagged else 0.0
    at, all_called = caught[ends], called[ends]
    average = roc = None
    if positives:
        precision = at / np.maximum(all_called, 1e-12)
        average = float(np.sum(precision * np.diff(at, prepend=0.0)) / positives)
        if negatives:
            wrong = all_called - at
            middle = (at + np.concatenate(([0.0], at[:-1]))) / 2
            roc = float(np.sum(np.diff(wrong, prepend=0.0) * middle) / (positives * negatives))
    return {
        "precision": found / asked if asked else None,
        "recall": found / positives if positives else None,
        "average_precision": average,
        "auc": roc,
    }


def _interval(values: list[float]) -> Interval:
    if len(values) < ROUNDS // 2:
        return None
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return low, high


def _calibration(scores: NDArray[np.uint32], truth: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """Equal-width bins of probability; `scores` in descending order."""
    if not len(scores):
        return []
    bins = np.minimum(scores.astype(np.int64) * BINS // MILLION, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    mean = np.bincount(bins, scores / MILLION, BINS) / np.maximum(counts, 1)
    share = np.bincount(bins, truth, BINS) / np.maximum(counts, 1)
    return [(p, s, n) for p, s, n in zip(mean.tolist(), share.tolist(), counts.tolist(), strict=True) if n]


def _precision_at(known: Known, k: int) -> float | None:
    """The mean over days of the share of true ones among the `k` highest scores of each day (fewer on a day with fewer)."""
    if not len(known.scores):
        return None
    order = np.lexsort((-known.scores.astype(np.int64), known.days))
    days, truth = known.days[order], known.truth[order]
    found, first = np.unique(days, return_index=True)
    rank = np.arange(len(days)) - first[np.searchsorted(found, days)]
    top = rank < k
    place = np.searchsorted(found, days[top])
    share = np.bincount(place, truth[top], len(found)) / np.bincount(place, minlength=len(found))
    return round(float(share.mean()), 6)
