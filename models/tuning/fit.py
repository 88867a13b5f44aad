"""A head fitted to verdicts: ridge towards the current one, its strength and its calibration chosen on folds that it did not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.calibration import fit_platt
from models.card import Calibration

Floats = NDArray[np.float64]
Truth = NDArray[np.bool_]
Change = Literal["calibration", "head", "new head"]

FOLDS = 5
STRENGTHS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1)
"""How strongly a head is held to the current one, from the strongest: the weight of the squared distance beside the sum of the
examples' log losses."""
PATIENCE = 2
"""So many strengths in a row that are no better than the best so far are the last to be tried."""
ANCHORED = 0.1
"""How strongly each anchor holds its logit: the weight of half the square by which it moves, as much as a verdict of probability .1
resists. Verdicts are often about a narrow kind of text; without anchors a head that tells these apart moves everything else as well."""
_STEPS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What the verdicts ask for: `change` says which parts are new. `weight` [width] and `bias` are the head's, `strength` how strongly
    it was held (0: it was not fitted)."""

    change: Change
    weight: Floats
    bias: float
    calibration: Calibration
    strength: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a head is fitted to: pooled vectors [examples, width], whether the label holds, and how much each example counts for
    calibration, [examples]; `weight` and `bias` are where the fit starts from and is held to, `anchors` [texts, width] the vectors of
    texts that no verdict is about."""

    pooled: Floats
    truth: Truth
    counts: Floats
    weight: Floats
    bias: float
    anchors: Floats

    @property
    def offset(self) -> Floats:
        """Logits of the head that the fit starts from."""
        return np.asarray(self.pooled @ self.weight + self.bias, np.float64)


def candidates(task: Task, current: Calibration | None) -> list[Fitted]:
    """The changes that the verdicts support, the one to prefer first; empty where the label fits as it is.

    Heads come first, from the strength that is best on examples that they were not fitted to up to the strongest, then a calibration
    alone; a head must be better than that, and any change better than none, by more than the standard error of the difference in log
    loss. With no `current` calibration there is no head yet, and only heads are given."""
    folds = _folds(task.truth)
    small = _reduced(task)
    starts = [np.zeros(small.pooled.shape[1] + 1)] * FOLDS
    tried: list[tuple[float, float, Calibration, Floats]] = []
    best = 0
    for strength in STRENGTHS:
        logits = np.empty(len(task.truth))
        for fold in range(FOLDS):
            unseen = folds == fold
            starts[fold] = _change(small, strength, rows=~unseen, start=starts[fold])
            logits[unseen] = small.offset[unseen] + small.pooled[unseen] @ starts[fold][:-1] + starts[fold][-1]
        calibration = fit_platt(logits, task.truth, task.counts)
        losses = log_losses(logits, task.truth, calibration)
        tried.append((_mean(losses, task.counts), strength, calibration, losses))
        best = min(range(len(tried)), key=lambda at: tried[at][0])
        if len(tried) - best > PATIENCE:
            # The losses fall and then rise as the head is held less; on few examples not without a step back.
            break
    tried = tried[: best + 1]
    found: list[Fitted] = []
    simple: Floats | None = None
    if current is not None:
        as_is = log_losses(task.offset, task.truth, current)
        recalibrated = fit_platt(task.offset, task.truth, task.counts)
        alone = log_losses(task.offset, task.truth, recalibrated)
        simple = as_is
        if _better(as_is, alone, task.counts):
            simple = alone
            found = [Fitted(change="calibration", weight=task.weight, bias=task.bias, calibration=recalibrated)]
    heads = [
        Fitted(change="new head" if current is None else "head", weight=weight, bias=bias, calibration=calibration, strength=strength)
        for _, strength, calibration, losses in reversed(tried)
        if simple is None or _better(simple, losses, task.counts)
        for weight, bias in (head(task, strength),)
    ]
    return heads + found


def head(task: Task, strength: float) -> tuple[Floats, float]:
    """The weight and bias of least log loss, both classes counting alike, plus `strength` / 2 times the squared distance from the task's
    own weight and `ANCHORED` / 2 times that of the anchors' logits; the bias is free."""
    small = _reduced(task)
    change = _change(small, strength, rows=np.ones(len(task.truth), np.bool_), start=np.zeros(small.pooled.shape[1] + 1))
    return task.weight + small.basis.T @ change[:-1], task.bias + float(change[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Small:
    """A task in the coordinates that its examples span: `pooled` [examples, rank] is the vectors in the rows of `basis` [rank, width]."""

    pooled: Floats
    anchors: Floats
    offset: Floats
    truth: Truth
    basis: Floats


def _reduced(task: Task) -> _Small:
    every = np.concatenate([task.pooled, task.anchors])
    basis = np.linalg.svd(every, full_matrices=False)[2] if every.shape[0] < every.shape[1] else np.eye(every.shape[1])
    small, examples = every @ basis.T, len(task.pooled)
    return _Small(pooled=small[:examples], anchors=small[examples:], offset=task.offset, truth=task.truth, basis=basis)


def _change(small: _Small, strength: float, *, rows: Truth, start: Floats) -> Floats:
    """What to add to weight and bias, [rank + 1], fitted to the examples `rows` by Newton's method with halved steps."""
    truth, offset = small.truth[rows].astype(np.float64), small.offset[rows]
    x = np.column_stack([small.pooled[rows], np.ones(len(truth))])
    counts = 0.5 / np.where(truth > 0, truth.mean(), 1 - truth.mean())
    anchors = np.column_stack([small.anchors, np.ones(len(small.anchors))])
    held = ANCHORED * anchors.T @ anchors + np.diag(np.append(np.full(x.shape[1] - 1, strength), 1e-3))

    def loss(point: Floats) -> float:
        z = offset + x @ point
        return float(counts @ (np.logaddexp(0, z) - truth * z) + point @ held @ point / 2)

    at, now = start, loss(start)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(offset + x @ at, -50, 50)))
        gradient = x.T @ (counts * (p - truth)) + held @ at
        hessian = (x * (counts * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ x + held
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (then := loss(at - size * step)) > now and size > 1e-4:
            size /= 2
        if then >= now:
            break
        at, won, now = at - size * step, now - then, then
        if won < 1e-6 * len(truth):
            break
    return at


def log_losses(logits: Floats, truth: Truth, calibration: Calibration) -> Floats:
    """-log of the probability given to what is true, for each example."""
    z = calibration.slope * logits + calibration.intercept
    return np.asarray(np.logaddexp(0, np.where(truth, -z, z)), np.float64)


def _better(before: Floats, after: Floats, counts: Floats) -> bool:
    """Whether the mean falls by more than the standard error of the fall."""
    fall = before - after
    mean = _mean(fall, counts)
    error = float(np.sqrt(counts**2 @ (fall - mean) ** 2)) / float(counts.sum())
    return mean > error


def _mean(values: Floats, counts: Floats) -> float:
    return float(counts @ values / counts.sum())


def _folds(truth: Truth) -> NDArray[np.int64]:
    """A fold for each example; examples are in no order that means anything, so each class is dealt out in turn."""
    folds = np.empty(len(truth), np.int64)
    for side in (truth, ~truth):
        folds[side] = np.arange(int(side.sum())) % FOLDS
    return folds


def dealt(truth: Truth, *, every: int) -> Truth:
    """Which examples are held out: one in `every` of each class."""
    held = np.zeros(len(truth), np.bool_)
    for side in (truth, ~truth):
        held[side] = np.arange(int(side.sum())) % every == every - 1
    return held


def counts_for(truth: Truth, prevalence: float | None) -> Floats:
    """How much each example counts where the label holds for the share `prevalence` of texts; None: as often as among the examples."""
    if prevalence is None:
        return np.ones(len(truth))
    share = float(truth.mean())
    return np.where(truth, prevalence / share, (1 - prevalence) / (1 - share))
