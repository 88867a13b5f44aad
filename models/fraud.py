"""The fraud classifier: feature rows in, calibrated probabilities out, and reasons in plain words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.errors import BundleError
from models.features import Vector, vector
from models.fraud_reasons import MAX_REASONS, reasons_of
from models.session import open_session
from schemas.flag import Reason


class FraudClassifier:
    """Tree ensembles served by onnxruntime in this process; safe to call from several threads at once."""

    def __init__(self, bundle: Bundle, *, threads: int = 1) -> None:
        """Raises `BundleError` when the bundle is no fraud model, or asks for features that this program has not."""
        card = bundle.card
        if [output.label for output in card.outputs] != ["fraud"]:
            raise BundleError(f"{bundle.folder}/card.json: a fraud model has the one output 'fraud'")
        if not card.features:
            raise BundleError(f"{bundle.folder}/card.json: features is empty")
        self.bundle = bundle
        self.features: tuple[str, ...] = card.features
        self.vector: Vector = vector(self.features, source=f"{bundle.folder}/card.json")
        """(history, entry, terminal) to one row of `features`, in order."""
        self._calibration = card.outputs[0].calibration
        try:
            self._session = open_session(bundle.model, threads=threads)
        except Exception as error:  # onnxruntime raises classes of its own that share no root but Exception
            raise BundleError(f"{bundle.model}: {str(error).splitlines()[0]}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].shape[1] != len(self.features):
            raise BundleError(f"{bundle.model}: takes other inputs than the {len(self.features)} features of its card")
        self._input = inputs[0].name

    @classmethod
    def load(cls, bundle: Bundle, *, threads: int = 1) -> FraudClassifier:
        """The classifier of `bundle`. Raises `BundleError`."""
        return cls(bundle, threads=threads)

    def score(self, rows: NDArray[np.float32] | Sequence[Sequence[float]]) -> NDArray[np.float32]:
        """Probability of fraud of each row: [n, features] to [n]; the same for a row alone or in any batch."""
        matrix = np.asarray(rows, np.float32)
        if not len(matrix):
            return np.empty(0, np.float32)
        log_odds = self._session.run(None, {self._input: matrix})[0].reshape(-1).astype(np.float64)
        calibrated = self._calibration.slope * log_odds + self._calibration.intercept
        probabilities: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-calibrated))).astype(np.float32)
        return probabilities

    def reasons(self, row: Sequence[float], *, limit: int = MAX_REASONS) -> tuple[Reason, ...]:
        """Why the transaction of this row stands out, the strongest first; may be empty. No number of any card or account."""
        return reasons_of(dict(zip(self.features, row, strict=True)), limit=limit)
