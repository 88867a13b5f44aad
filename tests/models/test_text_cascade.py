"""A first model learns what the model flags, is drawn so that it loses next to none of it, and lies in the bundle afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("torch")

from models.bundle import ARTIFACTS, Bundle
from models.errors import ModelError
from models.first import First
from models.text import TextClassifier
from models.train import text_bundle, text_cascade
from models.train.text_config import TextConfig
from models.train.text_data import TextTable, load
from models.train.text_gate import float32_bundle
from models.train.text_sources import HEADS
from tests.first_models import bundle_with

pytestmark = pytest.mark.train
RUDE = ["you stupid idiot", "what an idiot you are", "shut up you stupid clown", "you are a stupid ugly idiot"]
KIND = ["see you at five", "the bus was late again", "thanks for the lovely cake", "how was your day at work"]
REVIEW = {"harassment": 0.5, "spam": 0.3, "fraud": 0.1}


def _table() -> TextTable:
    """Every text once to learn from and once to draw the line by."""
    texts = (RUDE + KIND) * 2
    targets, weights = np.zeros((len(texts), len(HEADS)), np.float32), np.ones((len(texts), len(HEADS)), np.float32)
    targets[[at for at, text in enumerate(texts) if text in RUDE], HEADS.index("harassment")] = 1
    return TextTable(
        texts=texts, sources=np.array(["jigsaw"] * len(texts)), splits=np.repeat(["train", "valid"], len(texts) // 2),
        targets=targets, weights=weights, shares=np.ones(len(texts), np.float32),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ARTIFACTS / "moderation", tmp_path / "bundle"))


def test_a_bundle_is_given_one_that_keeps_true_flags_and_knows_its_thresholds(folder: Path) -> None:
    before = Bundle.open(folder).digest
    bundle = text_cascade.add(folder, _table(), review=REVIEW)
    first, model = First.of(bundle), TextClassifier.load(bundle)
    assert bundle.digest != before
    assert first is not None
    assert first.terms.review == {"harassment": 0.5, "spam": 0.3}
    rude, kind = (first.doubts(*model.tokenise(texts)) for texts in (RUDE, KIND))
    assert rude.min() >= first.terms.line > kind.max()
    # Fitted anew it is the same, and takes the place of the one before.
    assert text_cascade.add(folder, _table(), review=REVIEW).digest == bundle.digest


def test_no_line_is_drawn_where_nothing_is_flagged_or_nothing_rightly(folder: Path) -> None:
    with pytest.raises(ModelError, match="0 come near"):
        text_cascade.add(folder, _table(), review={"spam": 1.0})
    table = _table()
    table.targets[:] = 0
    with pytest.raises(ModelError, match="no validation text rightly"):
        text_cascade.add(folder, table, review=REVIEW)


def test_it_goes_where_its_bundle_goes(tmp_path: Path) -> None:
    bundle = bundle_with(tmp_path / "candidate")
    float32 = tmp_path / "candidate" / text_bundle.FLOAT32
    float32.parent.mkdir(exist_ok=True)
    shutil.copyfile(bundle.model, float32)
    assert First.of(Bundle.open(float32_bundle(bundle.folder, float32, tmp_path / "float32"))) is not None
    text_bundle.adopt(bundle.folder, tmp_path / "out")
    assert Bundle.open(tmp_path / "out").digest == bundle.digest
    assert not bundle.folder.exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_flags_lost_are_counted_among_those_that_are_right(data_dir: Path, folder: Path) -> None:
    table = load(data_dir, TextConfig())
    first = text_cascade.fit(TextClassifier.load(Bundle.open(folder)), table, review={"harassment": 0.8, "spam": 0.3}, texts=2_000)
    found = text_cascade.cascade(first.put(Bundle.open(folder)).folder, data_dir, table, review={}, limit=60)
    assert found.own
    assert 0 <= found.ordinary <= 1
    assert all(lost <= flags for flags, lost in found.lost.values())
    assert sum(flags for flags, _ in found.lost.values()) > 0
