"""A first model made by hand, over the bundle that comes with the program."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.bundle import ARTIFACTS, Bundle
from models.first import First, Terms
from models.text import TextClassifier
from schemas.labels import MESSAGE_LABELS

HARMLESS = (
    "see you at five then", "the bus was late again this morning", "thanks for the lovely cake", "how was your day at work",
    "did you watch the match", "good morning all", "we can meet at the station",
)
REVIEW = dict.fromkeys(MESSAGE_LABELS, 0.2)
"""No default threshold is lower."""


def by_hand(model: TextClassifier, *, review: Mapping[str, float] = REVIEW) -> First:
    """Clears texts of the word pieces of `HARMLESS` alone: any other piece outweighs them."""
    weights = np.full(model.pieces, 60.0)
    ids, _ = model.tokenise(HARMLESS)
    weights[sorted({piece for window in ids for piece in window})] = -0.1
    return First(weights=weights, terms=Terms(intercept=0.5, line=0.5, review=dict(review)))


def bundle_with(folder: Path, *, review: Mapping[str, float] = REVIEW) -> Bundle:
    """The shipped bundle with `by_hand`, in the new folder `folder`."""
    shutil.copytree(ARTIFACTS / "moderation", folder)
    bundle = Bundle.open(folder)
    return by_hand(TextClassifier.load(bundle), review=review).put(bundle)
