"""Logits to probabilities: Platt scaling fitted without surprises, and how far probabilities are from the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.card import Calibration

Floats = NDArray[np.float32] | NDArray[np.float64]
Truth = NDArray[np.bool_]


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x) in float32, without overflow."""
    half = np.float32(0.5)
    result: NDArray[np.float32] = half * (np.tanh(half * logits) + half + half)
    return result


@dataclass(frozen=True, slots=True)
class Calibrator:
    """One slope and intercept per label; `apply` keeps the order of any two texts within a label."""

    slopes: NDArray[np.float32]
    intercepts: NDArray[np.float32]

    @classmethod
    def of(cls, calibrations: tuple[Calibration, ...]) -> Calibrator:
        """The calibrations of a card's outputs, in order."""
        return cls(np.array([c.slope for c in calibrations], np.float32), np.array([c.intercept for c in calibrations], np.float32))

    def apply(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities for logits of shape [..., labels]."""
        return sigmoid(logits * self.slopes + self.intercepts)


def fit_platt(logits: Floats, truth: Truth, weights: Floats | None = None) -> Calibration:
    """The slope and intercept of least weighted log loss, by Newton's method on Platt's smoothed targets.

    Returns the identity when only one class is present. The slope stays positive: a label whose logits run against the truth
    gets a flat line, never a reversed one."""
    x = np.asarray(logits, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    positive, negative = float(w[truth].sum()), float(w[~truth].sum())
    if positive == 0 or negative == 0:
        return Calibration()
    # Platt 1999: targets a little inside 0 and 1 keep the fit finite where the classes part cleanly.
    smooth = len(x) / float(w.sum())
    target = np.where(truth, (positive * smooth + 1) / (positive * smooth + 2), 1 / (negative * smooth + 2))
    slope, intercept = 1.0, float(np.log(positive / negative))
    damping = 1e-3
    loss = _log_loss(slope * x + intercept, target, w)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(slope * x + intercept, -50, 50)))
        residual, curve = w * (p - target), w * p * (1 - p)
        gradient = np.array([residual @ x, residual.sum()])
        hessian = np.array([[curve @ (x * x), curve @ x], [curve @ x, curve.sum()]])
        step = np.linalg.solve(hessian + damping * np.eye(2) * max(1e-9, float(np.trace(hessian))), gradient)
        proposed = _log_loss((slope - step[0]) * x + intercept - step[1], target, w)
        if proposed <= loss:
            slope, intercept, damping = slope - float(step[0]), intercept - float(step[1]), damping / 10
            if loss - proposed < 1e-10 * max(1.0, abs(loss)):
                break
            loss = proposed
        else:
            damping *= 10
            if damping > 1e6:
                break
    return Calibration(slope=max(slope, 1e-3), intercept=intercept)


def _log_loss(z: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float((weights * (np.logaddexp(0, z) - target * z)).sum())


def expected_calibration_error(probabilities: Floats, truth: Truth, weights: Floats | None = None, *, bins: int = 15) -> float:
    """Mean distance of the predicted from the observed share over bins of equal width, weighted by the bins' sizes (Naeini 2015)."""
    p, t = np.asarray(probabilities, np.float64), truth.astype(np.float64)
    w = np.ones_like(p) if weights is None else np.asarray(weights, np.float64)
    if w.sum() == 0:
        return 0.0
    where = np.minimum((p * bins).astype(np.int64), bins - 1)
    gaps = np.abs(np.bincount(where, w * p, bins) - np.bincount(where, w * t, bins))
    return float(gaps.sum() / w.sum())
