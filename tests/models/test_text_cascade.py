"""Whether a first model would pay is told by what it clears and what is lost by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("torch")

from models.bundle import ARTIFACTS, Bundle
from models.text import TextClassifier
from models.train.text_cascade import _First, cascade
from models.train.text_config import TextConfig
from models.train.text_data import load

pytestmark = pytest.mark.train
RUDE = ["you stupid idiot", "what an idiot you are", "shut up you stupid clown", "you are a stupid ugly idiot"]
KIND = ["see you at five", "the bus was late again", "thanks for the lovely cake", "how was your day at work"]


def test_the_first_model_learns_what_the_second_would_flag() -> None:
    model = TextClassifier.load(Bundle.open(ARTIFACTS / "moderation"))
    first = _First(model, RUDE + KIND, np.full(len(model.labels), 0.5, np.float32))
    doubts = first.doubts(model, ["an idiot", "a cake for work"])
    assert doubts[0] > doubts[1]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_flags_lost_are_counted_among_those_that_are_right(data_dir: Path) -> None:
    table = load(data_dir, TextConfig())
    found = cascade(ARTIFACTS / "moderation", data_dir, table, review={"harassment": 0.8, "spam": 0.3}, texts=2_000, limit=60)
    assert 0 <= found.ordinary <= 1
    assert all(lost <= flags for flags, lost in found.lost.values())
    assert sum(flags for flags, _ in found.lost.values()) > 0
