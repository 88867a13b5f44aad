"""How much truth and falsehood lies at each score: by verdict where there is one, else by the calibrated probability itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.replay.record import MILLION, UNSCORED
from stream.replay.results import Results
from stream.replay.rows import Rows
from stream.replay.verdicts import UNKNOWN, Verdicts

Mass = NDArray[np.float64]


def positive(rows: Rows, column: int, label: str, verdicts: Verdicts | None) -> Mass:
    """How probable it is that each row truly is `label`: 0 or 1 where a verdict says so; 0 where it was not scored."""
    scores = rows["scores"][:, column]
    probability = np.where(scores == UNSCORED, 0.0, scores / MILLION)
    if verdicts is None:
        return probability
    truth = verdicts.truth(label, rows["event"])
    return np.where((truth == UNKNOWN) | (scores == UNSCORED), probability, truth).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Masses:
    """Of one label, at or above each score in millionths [MILLION + 2]: true and false events, and the money in the true ones in minor
    units. The last place is beyond every score."""

    label: str
    true: Mass
    false: Mass
    true_minor: Mass
    known: int
    events: int

    def recall(self) -> Mass:
        """The share of true events that is at or above each score; 1 where there are none."""
        return self.true / self.true[0] if self.true[0] else np.ones_like(self.true)


def masses(results: Results, label: str, verdicts: Verdicts | None) -> Masses:
    """The masses of `label` over a run."""
    column = results.manifest.labels.index(label)
    true, false, minor = (np.zeros(MILLION + 2) for _ in range(3))
    known = events = 0
    for _, rows in results.chunks():
        scored = rows[rows["scores"][:, column] != UNSCORED]
        score = scored["scores"][:, column].astype(np.int64)
        mass = positive(scored, column, label, verdicts)
        # A weighted bincount over a million places would cost more than the chunk has rows.
        np.add.at(true, score, mass)
        np.add.at(false, score, 1.0 - mass)
        np.add.at(minor, score, mass * scored["amount_minor"])
        events += len(rows)
        if verdicts is not None:
            known += int((verdicts.truth(label, scored["event"]) != UNKNOWN).sum())
    for mass in (true, false, minor):
        mass[:] = np.cumsum(mass[::-1])[::-1]
        # Sums of floats in another order must not leave a remainder beyond the last event.
        np.maximum(mass, 0.0, out=mass)
    return Masses(label=label, true=true, false=false, true_minor=minor, known=known, events=events)
