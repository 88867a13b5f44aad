"""Default thresholds, from two budgets of false positives: one for ordinary texts, one for harmless texts that look like a harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.metrics import threshold_at
from models.text import TextClassifier
from models.train.text_data import TextTable
from models.train.text_sources import HEADS

ORDINARY: tuple[str, ...] = ("jigsaw", "jigsaw_binary", "sms_spam", "youtube_spam", "convabuse", "dreaddit", "written/everyday")
"""Sets whose harmless texts are what people write to each other on most days. Sets that were gathered by hateful words are not among them."""
REVIEW, BLOCK = 0.015, 0.001
"""Shares of ordinary harmless texts that may be flagged for review, and blocked."""
NEAR_MISSES = 0.05
"""Share of our own harmless wordings and texts, most of them written to look like a harm, that may be flagged."""
_LEAST, _MOST = (0.2, 0.8), (0.95, 0.99)


def default_thresholds(bundle: Path, table: TextTable, *, limit: int = 6000) -> dict[str, tuple[float, float]]:
    """Per label the calibrated probabilities from which on to review and to block, by validation texts.

    Rounded up to hundredths; at least .2 for review and .8 for block, since a budget alone would flag improbable texts where a
    label is rare."""
    model = TextClassifier.load(Bundle.open(bundle))
    rows = table.rows("valid")
    ordinary = rows[np.isin(table.sources[rows], ORDINARY)]
    ordinary = np.random.default_rng(0).permutation(ordinary)[:limit]
    sources = table.sources[rows].astype(str)
    own = rows[np.char.startswith(sources, "templates/") | np.char.startswith(sources, "written/")]
    said = {name: model.score([table.texts[row] for row in part]) for name, part in (("ordinary", ordinary), ("own", own))}

    def harmless(name: str, part: NDArray[np.int64], label: str, column: int) -> NDArray[np.float32]:
        cell = HEADS.index(label)
        absent = (table.weights[part, cell] > 0) & (table.targets[part, cell] <= 0.5)
        return np.asarray(said[name][absent, column])

    lines: dict[str, tuple[float, float]] = {}
    for column, label in enumerate(model.labels):
        usual, near = harmless("ordinary", ordinary, label, column), harmless("own", own, label, column)
        review = max(threshold_at(usual, REVIEW), threshold_at(near, NEAR_MISSES) if len(near) else 0.0)
        first, second = (float(np.ceil(value * 100) / 100) for value in (review, threshold_at(usual, BLOCK)))
        first = min(max(first, _LEAST[0]), _MOST[0])
        lines[label] = first, min(max(second, _LEAST[1], first), _MOST[1])
    return lines
