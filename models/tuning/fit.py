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
Change = Literal["none", "calibration", "head", "new head"]

FOLDS = 5
STRENGTHS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""How strongly a head is held to the current one, from the strongest: the weight of the squared distance beside the sum of the
examples' log losses."""
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
    calibration, [examples]; `weight` and `bias` are where the fit starts from and is held to."""

    pooled: Floats
    truth: Truth
    counts: Floats
    weight: Floats
    bias: float


def fit(task: Task, current: Calibration | None) -> Fitted:
    """The simplest change that the verdicts support: none, the calibration, or the head and its calibration.

    A less simple one must be better by more than the standard error of the difference in log loss, on examples that it was not
    fitted to. With no `current` calibration there is no head yet, and one is fitted."""
    folds = _folds(task.truth)
    best: tuple[float, float, Calibration, Floats] | None = None
    starts = [np.append(task.weight, task.bias)] * FOLDS
    for strength in STRENGTHS:
        logits = np.empty(len(task.truth))
        for fold in range(FOLDS):
            seen, unseen = folds != fold, folds == fold
            weight, bias = head(task, strength, rows=seen, start=starts[fold])
            starts[fold] = np.append(weight, bias)
            logits[unseen] = task.pooled[unseen] @ weight + bias
        calibration = fit_platt(logits, task.truth, task.counts)
        losses = log_losses(logits, task.truth, calibration)
        mean = _mean(losses, task.counts)
        if best is None or mean < best[0]:
            best = mean, strength, calibration, losses
        else:
            # The losses fall and then rise as the head is held less.
            break
    assert best is not None
    _, strength, calibration, head_losses = best
    if current is not None:
        plain = task.pooled @ task.weight + task.bias
        recalibrated = fit_platt(plain, task.truth, task.counts)
        as_is = log_losses(plain, task.truth, current)
        with_calibration = log_losses(plain, task.truth, recalibrated)
        simple = with_calibration if _better(as_is, with_calibration, task.counts) else as_is
        if not _better(simple, head_losses, task.counts):
            unchanged = simple is as_is
            return Fitted(
                change="none" if unchanged else "calibration", weight=task.weight, bias=task.bias,
                calibration=current if unchanged else recalibrated,
            )
    weight, bias = head(task, strength)
    change: Change = "new head" if current is None else "head"
    return Fitted(change=change, weight=weight, bias=bias, calibration=calibration, strength=strength)


def head(task: Task, strength: float, *, rows: Truth | None = None, start: Floats | None = None) -> tuple[Floats, float]:
    """The weight and bias of least log loss on the examples `rows`, both classes counting alike, plus `strength` / 2 times the squared
    distance from the task's own weight. By Newton's method with halved steps, from `start` on; the bias is free."""
    rows = np.ones(len(task.truth), np.bool_) if rows is None else rows
    truth = task.truth[rows].astype(np.float64)
    x = np.column_stack([task.pooled[rows], np.ones(len(truth))])
    share = np.where(truth > 0, truth.mean(), 1 - truth.mean())
    counts = 0.5 / share
    held = np.append(np.full(x.shape[1] - 1, strength), 1e-3)
    origin = np.append(task.weight, task.bias)
    at = origin.copy() if start is None else start

    def loss(point: Floats) -> float:
        z = x @ point
        return float(counts @ (np.logaddexp(0, z) - truth * z) + held @ (point - origin) ** 2 / 2)

    now = loss(at)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ at, -50, 50)))
        gradient = x.T @ (counts * (p - truth)) + held * (at - origin)
        hessian = (x * (counts * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ x + np.diag(held)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while (then := loss(at - size * step)) > now and size > 1e-4:
            size /= 2
        if then >= now:
            break
        at, done, now = at - size * step, now - then < 1e-5 * now, then
        if done:
            break
    return at[:-1], float(at[-1])


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
