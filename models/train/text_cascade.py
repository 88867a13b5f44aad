"""The first model of a text bundle: fitted to the model's own decisions, put into the bundle, and judged by what it clears and loses.

Its weights are those of a logistic regression on the word pieces that a text has, by whether the model nearly flags it; its line is the highest
that keeps all but a stated share of every label's true positives at stated thresholds, on validation texts. Judged it is on test texts."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from models.bundle import Bundle
from models.errors import ModelError
from models.first import First, Terms, distinct
from models.text import TextClassifier
from models.train.text_data import TextTable
from models.train.text_slices import SLICES, read
from models.train.text_sources import HEADS
from models.train.text_thresholds import ORDINARY

log = logging.getLogger(__name__)
LOST = 0.005
"""Share of a label's true positives that a first model may clear, on validation texts."""
TEXTS = 40_000
"""Training texts that it is fitted to, beside a sentence each of those that have several: the sets have few short harmless texts, and
what short ones are made of would stay in doubt. Twice as many clear no more."""
NEAR = 0.5
"""What reaches this share of a threshold is to be doubted already: with it and the sentences 36 of 100 ordinary texts of fewer than 20
pieces are cleared, 20 without."""
_SENTENCE = re.compile(r"[^.!?;,\n]+[.!?;,\n]*")
_SHORTEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """What a first model does: the share of ordinary harmless validation texts that it clears, of all test texts, and for each label how
    many test texts the model rightly flags and how many of these are cleared. `own` is false for one that was fitted to find out."""

    own: bool
    ordinary: float
    tested: float
    lost: Mapping[str, tuple[int, int]]


def add(bundle: Path, table: TextTable, *, review: Mapping[str, float], texts: int = TEXTS) -> Bundle:
    """Fits a first model to the text model in the folder `bundle`, for policies that flag each label from `review` on or later, and puts it
    there, in place of one that is there. The bundle's digest changes. Raises `ModelError` when no line can be drawn."""
    opened = Bundle.open(bundle)
    return fit(TextClassifier.load(opened), table, review=review, texts=texts).put(opened)


def fit(model: TextClassifier, table: TextTable, *, review: Mapping[str, float], texts: int = TEXTS) -> First:
    """The first model for `model` where each label is flagged from `review` on, fitted to the decisions on at most `texts` training texts."""
    lines = _lines(model, review)
    rng = np.random.default_rng(0)
    rows = table.rows("train")
    drawn = [table.texts[row] for row in rng.choice(rows, min(texts, len(rows)), replace=False)]
    scores, ids, owners = _read(model, [*drawn, *_sentences(drawn, rng)])
    doubtful = (scores >= NEAR * lines).any(1)
    if doubtful.all() or not doubtful.any():
        raise ModelError(f"no first model: of {len(scores)} training texts {int(doubtful.sum())} come near a threshold, and there must be others")
    # Both outcomes count alike: on what is mostly harmless all weights would shrink together.
    found = LogisticRegression(C=1.0, max_iter=300, class_weight="balanced", solver="liblinear").fit(_matrix(model, ids, owners), doubtful)
    known = {label: review[label] for label in model.labels if label in review}
    terms = Terms(intercept=float(found.intercept_[0]), line=0.0, review=known)
    first = First(weights=found.coef_[0].astype(np.float16).astype(np.float64), terms=terms)
    line = _line(model, first, table, lines)
    log.info("text.cascade texts=%d doubtful=%.3f line=%.3f", len(scores), float(doubtful.mean()), line)
    return replace(first, terms=terms.model_copy(update={"line": line}))


def _sentences(texts: Sequence[str], rng: np.random.Generator) -> list[str]:
    """One sentence, or clause, of each of `texts` that has several."""
    found = ([part.strip() for part in _SENTENCE.findall(text) if len(part.strip()) >= _SHORTEST] for text in texts)
    return [parts[rng.integers(len(parts))] for parts in found if len(parts) > 1]


def _line(model: TextClassifier, first: First, table: TextTable, lines: NDArray[np.float32]) -> float:
    """The highest line that clears at most the share `LOST` of each label's true positives among validation texts."""
    columns = [HEADS.index(label) for label in model.labels]
    rows = table.rows("valid")
    present = (table.weights[rows][:, columns] > 0) & (table.targets[rows][:, columns] > 0.5)
    rows, present = rows[present.any(1)], present[present.any(1)]
    scores, ids, owners = _read(model, [table.texts[row] for row in rows])
    doubts = first.doubts(ids, owners)
    right = present & (scores >= lines)
    kept = [float(np.quantile(doubts[column], LOST, method="lower")) for column in right.T if column.any()]
    if not kept:
        raise ModelError("no first model: the model flags no validation text rightly at these thresholds")
    return min(kept)


def cascade(bundle: Path, data: Path, table: TextTable, *, review: Mapping[str, float], limit: int = 500) -> Losses:
    """The figures of the first model of `bundle` at the thresholds that it was fitted for; where it has none, of one that is fitted
    for `review`. At most `limit` test texts a slice."""
    opened = Bundle.open(bundle)
    model, own = TextClassifier.load(opened), First.of(opened)
    first = own or fit(model, table, review=review)
    lines = _lines(model, first.terms.review)

    valid = table.rows("valid")
    scores, ids, owners = _read(model, [table.texts[row] for row in valid[np.isin(table.sources[valid], ORDINARY)]])
    ordinary = first.doubts(ids, owners)[(scores < lines).all(1)] < first.terms.line
    lost: dict[str, tuple[int, int]] = {}
    cleared = tested = 0
    for spec in SLICES:
        if spec.label not in model.labels:
            continue
        piece = read(data, spec, limit=limit)
        scores, ids, owners = _read(model, piece.texts)
        here = first.doubts(ids, owners) < first.terms.line
        right = piece.truth & (scores[:, model.labels.index(spec.label)] >= lines[model.labels.index(spec.label)])
        flags, gone = lost.get(spec.label, (0, 0))
        lost[spec.label] = flags + int(right.sum()), gone + int((right & here).sum())
        cleared, tested = cleared + int(here.sum()), tested + len(here)
    return Losses(own=own is not None, ordinary=float(ordinary.mean()), tested=cleared / max(1, tested), lost=lost)


def _lines(model: TextClassifier, review: Mapping[str, float]) -> NDArray[np.float32]:
    return np.array([review.get(label, np.inf) for label in model.labels], np.float32)


def _read(model: TextClassifier, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[list[int]], NDArray[np.int64]]:
    """The model's scores of `texts`, and the windows that both models read."""
    ids, owners = model.tokenise(texts)
    return model.score_windows(ids, owners), ids, owners


def _matrix(model: TextClassifier, ids: Sequence[Sequence[int]], owners: NDArray[np.int64]) -> csr_matrix:
    """What `First.doubts` multiplies the weights by, [texts, pieces]."""
    pieces, counts = distinct(ids, owners)
    starts = np.concatenate(([0], np.cumsum(counts)))
    return csr_matrix((np.repeat(1 / np.sqrt(counts), counts), pieces, starts), shape=(len(counts), model.pieces))
