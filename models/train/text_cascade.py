"""Would a first, tiny model pay? A table of one weight a word piece, folded into a sum, clears what the model would surely not flag.

It is fitted to the model's own decisions (logistic regression on the word pieces that a text has), and its line is the highest that keeps
all but a stated share of every label's true positives at the default thresholds, on validation texts. Both are then judged on test texts."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.bundle import Bundle
from models.text import TextClassifier
from models.train.text_data import TextTable
from models.train.text_slices import SLICES, read
from models.train.text_sources import HEADS
from models.train.text_thresholds import ORDINARY

log = logging.getLogger(__name__)
LOST = 0.005
"""Share of a label's true positives that the first model may clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cascade:
    """What the first model would do: the share of ordinary harmless validation texts that it clears, of all test texts, and for each
    label how many test texts the model rightly flags and how many of these the first would clear."""

    ordinary: float
    tested: float
    lost: Mapping[str, tuple[int, int]]


def cascade(bundle: Path, data: Path, table: TextTable, *, review: Mapping[str, float], texts: int = 40_000, limit: int = 500) -> Cascade:
    """The figures for `bundle` with the thresholds `review`, and `texts` training texts to fit by; at most `limit` test texts a slice."""
    model = TextClassifier.load(Bundle.open(bundle))
    lines = np.array([review.get(label, np.inf) for label in model.labels], np.float32)
    rng = np.random.default_rng(0)
    rows = table.rows("train")
    first = _First(model, [table.texts[row] for row in rng.choice(rows, min(texts, len(rows)), replace=False)], lines)
    log.info("text.cascade fitted")

    valid = rng.permutation(table.rows("valid"))[:8_000]
    scores, doubts = _both(model, first, [table.texts[row] for row in valid])
    line = np.inf
    for column, label in enumerate(model.labels):
        cell = HEADS.index(label)
        found = (table.weights[valid, cell] > 0) & (table.targets[valid, cell] > 0.5) & (scores[:, column] >= lines[column])
        if found.any():
            line = min(line, float(np.quantile(doubts[found], LOST, method="lower")))
    ordinary = np.isin(table.sources[valid], ORDINARY) & (scores < lines).all(1)

    lost: dict[str, tuple[int, int]] = {}
    cleared = tested = 0
    for spec in SLICES:
        if spec.label not in model.labels:
            continue
        piece = read(data, spec, limit=limit)
        scores, here = _both(model, first, piece.texts)
        right = piece.truth & (scores[:, model.labels.index(spec.label)] >= lines[model.labels.index(spec.label)])
        before = lost.get(spec.label, (0, 0))
        lost[spec.label] = before[0] + int(right.sum()), before[1] + int((right & (here < line)).sum())
        cleared, tested = cleared + int((here < line).sum()), tested + len(here)
    return Cascade(ordinary=float((doubts[ordinary] < line).mean()), tested=cleared / max(1, tested), lost=lost)


def _both(model: TextClassifier, first: _First, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return model.score(texts), first.doubts(model, texts)


class _First:
    """A weight a word piece; a text's doubt is the sum over the pieces that it has, over the root of their number."""

    def __init__(self, model: TextClassifier, texts: Sequence[str], lines: NDArray[np.float32]) -> None:
        self._counts = TfidfVectorizer(analyzer=set, use_idf=False, binary=True)
        self._sum = LogisticRegression(C=1.0, max_iter=300, class_weight="balanced", solver="liblinear")
        flagged = (model.score(texts) >= lines).any(1)
        self._sum.fit(self._counts.fit_transform(_pieces(model, texts)), flagged)

    def doubts(self, model: TextClassifier, texts: Sequence[str]) -> NDArray[np.float32]:
        """How likely the model flags each text, as log-odds."""
        return np.asarray(self._sum.decision_function(self._counts.transform(_pieces(model, texts))), np.float32)


def _pieces(model: TextClassifier, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in texts]
    for ids, owner in zip(*model.tokenise(texts), strict=True):
        found[owner].extend(ids)
    return found
