"""Whether a probability means what it says: calibration error and reliability, on validation texts that the fit has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibrator, expected_calibration_error, fit_platt
from models.text import TextClassifier
from models.train.text_bundle import column_of, valid_cells
from models.train.text_data import TextTable

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """A label's expected calibration error, and for each bin with texts the mean probability, the share that was true, and the texts."""

    label: str
    error: float
    bins: tuple[tuple[float, float, int], ...]


def reliability(model: TextClassifier, table: TextTable, *, per_source: int = 1500, seed: int = 0) -> tuple[Reliability, ...]:
    """Of every label; each half of the texts is calibrated by a fit on the other half, since the shipped fit has seen both."""
    rows = valid_cells(table, per_source=per_source)
    logits = model.logits([table.texts[row] for row in rows])
    half = np.random.default_rng(seed).random(len(rows)) < 0.5
    found: list[Reliability] = []
    for column, label in enumerate(model.labels):
        weights, truth = table.weights[rows, column_of(label)], table.targets[rows, column_of(label)] > 0.5
        probabilities = np.zeros(len(rows), np.float32)
        for side in (half, ~half):
            learn, apply = side & (weights > 0), ~side
            fitted = fit_platt(logits[learn, column], truth[learn], weights[learn])
            probabilities[apply] = Calibrator.of((fitted,)).apply(logits[apply, column, None])[:, 0]
        known = weights > 0
        found.append(
            Reliability(
                label=label,
                error=expected_calibration_error(probabilities[known], truth[known], weights[known]),
                bins=_bins(probabilities[known], truth[known], weights[known]),
            )
        )
    return tuple(found)


def _bins(
    probabilities: NDArray[np.float32], truth: NDArray[np.bool_], weights: NDArray[np.float32]
) -> tuple[tuple[float, float, int], ...]:
    where = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    return tuple(
        (
            float(np.average(probabilities[mine], weights=weights[mine])),
            float(np.average(truth[mine], weights=weights[mine])),
            int(mine.sum()),
        )
        for mine in (where == place for place in range(BINS))
        if mine.any()
    )
