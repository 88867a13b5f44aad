"""Flagstream's own classifier as the worker calls it: normalising, tokenising, windows and calibration included."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.bundle import Bundle
from models.text import TextClassifier
from stream.worker import TEXT_BATCH

NAME = "flagstream"
WHAT = f"texts to calibrated probabilities, {TEXT_BATCH} at a time"


def prepare(bundle: Bundle, texts: Sequence[str]) -> Callable[[], int]:
    """Scores all of `texts` in the worker's batches."""
    model = TextClassifier.load(bundle, threads=1)

    def score() -> int:
        for start in range(0, len(texts), TEXT_BATCH):
            model.score(texts[start : start + TEXT_BATCH])
        return len(texts)

    return score
