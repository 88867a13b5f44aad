"""What a new bundle must show before it is one: int8 as good as float32, a score that is its own, probabilities that hold."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models.bundle import Bundle, file_sha256
from models.errors import ModelError
from models.metrics import auc
from models.text import TextClassifier
from models.train.text_bundle import column_of, valid_cells
from models.train.text_data import TextTable
from models.train.text_reliability import reliability

log = logging.getLogger(__name__)
AUC_LOST = 0.005
"""AUC that any label may lose to quantisation, on validation texts."""
ALONE = 0.002
"""Difference between a text's score alone and among others."""
CALIBRATION_ERROR = 0.03
LEAST = 20
"""Positives, and negatives, that a label needs for its AUC to be held against it."""


class GateError(ModelError):
    """The bundle is not good enough to be one; one line names every reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What was measured at the gate: by label the AUC of float32 minus that of int8 and the calibration error; the largest difference
    between a score alone and among others."""

    auc_lost: dict[str, float]
    calibration_error: dict[str, float]
    alone: float

    def reasons(self) -> tuple[str, ...]:
        """Why the bundle may not pass; empty when it may."""
        lost = [
            f"{label}: int8 loses {value:.4f} of AUC, more than {AUC_LOST}" for label, value in self.auc_lost.items() if value > AUC_LOST
        ]
        errors = [
            f"{label}: calibration error {value:.3f}, more than {CALIBRATION_ERROR}"
            for label, value in self.calibration_error.items()
            if value > CALIBRATION_ERROR
        ]
        beside = [f"a score alone differs by {self.alone:.4f}, more than {ALONE}"] if self.alone > ALONE else []
        return *lost, *errors, *beside


def float32_bundle(bundle: Path, graph: Path, out: Path) -> Path:
    """`bundle` with the float32 graph `graph` in place of its own, in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(graph, out / "model.onnx")
    card = json.loads((bundle / "card.json").read_text())
    for name in card["files"].keys() - {"model.onnx"}:
        shutil.copyfile(bundle / name, out / name)
    card["files"]["model.onnx"] = file_sha256(out / "model.onnx")
    (out / "card.json").write_text(json.dumps(card))
    return out


def examine(bundle: Path, float32: Path, table: TextTable, *, per_source: int = 200) -> Passage:
    """The figures of `bundle` beside the graph `float32` of the same form, on validation texts of `table`."""
    model = TextClassifier.load(Bundle.open(bundle))
    rows = valid_cells(table, per_source=per_source)
    texts = [table.texts[row] for row in rows]
    with TemporaryDirectory() as folder:
        reference = TextClassifier.load(Bundle.open(float32_bundle(bundle, float32, Path(folder))))
        plain = reference.score(texts)
    scores = model.score(texts)
    lost: dict[str, float] = {}
    for column, label in enumerate(model.labels):
        known = table.weights[rows, column_of(label)] > 0
        truth = table.targets[rows[known], column_of(label)] > 0.5
        if LEAST <= truth.sum() <= len(truth) - LEAST:
            lost[label] = auc(truth, plain[known, column]) - auc(truth, scores[known, column])
    alone = max(float(np.abs(model.score([text])[0] - scores[at]).max()) for at, text in enumerate(texts[:200]))
    # The error of a small sample is mostly its own noise: hence many texts.
    errors = {one.label: one.error for one in reliability(model, table)}
    return Passage(auc_lost=lost, calibration_error=errors, alone=alone)


def check(bundle: Path, float32: Path, table: TextTable, *, per_source: int = 200) -> Passage:
    """`examine`, logged. Raises `GateError` when the bundle may not pass."""
    passage = examine(bundle, float32, table, per_source=per_source)
    log.info("text.gate auc_lost=%s calibration_error=%s alone=%.5f", passage.auc_lost, passage.calibration_error, passage.alone)
    if reasons := passage.reasons():
        raise GateError(f"{bundle}: not good enough: {'; '.join(reasons)}")
    return passage
