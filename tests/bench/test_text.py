"""The text benchmark: its texts, and its contenders on the bundle that comes with the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bundle import ARTIFACTS
from stream.bench import corpus
from stream.bench.scorers import transformers_pipeline
from stream.bench.text import run_text
from stream.settings import Settings
from tests.first_models import bundle_with

with_bundle = pytest.mark.skipif(not (ARTIFACTS / "moderation").is_dir(), reason="no bundle of the text model")


def test_own_texts_are_the_same_each_time_and_none_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAGSTREAM_DATA", raising=False)
    texts = corpus.texts(300)
    assert texts == corpus.texts(300)
    assert texts[:100] == corpus.texts(100)
    assert len(texts) == 300
    assert all(text.strip() for text in texts)


def test_texts_of_the_data_sets_are_of_their_test_parts(data_dir: Path) -> None:
    import pyarrow.parquet as pq

    texts = corpus.texts(50, data_dir=data_dir)
    parts = {
        row["text"]: row["split"]
        for name in corpus.SETS
        for row in pq.read_table(data_dir / "moderation" / f"{name}.parquet", columns=["text", "split"]).to_pylist()
    }
    assert {parts[text] for text in texts} == {"test"}


def test_ordinary_texts_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAGSTREAM_DATA", raising=False)
    texts = corpus.ordinary(300)
    assert texts == corpus.ordinary(300)
    assert all(text.strip() for text in texts)


@with_bundle
def test_a_first_model_is_measured_on_the_same_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAGSTREAM_DATA", raising=False)
    monkeypatch.setattr(transformers_pipeline, "available", lambda: False)
    figures = run_text(texts=60, rounds=2, settings=Settings(models=bundle_with(tmp_path / "moderation").folder))
    assert 0 <= figures["cleared_share"] <= 1
    assert min(figures[name] for name in ("ordinary_texts_per_s", "cascade_texts_per_s", "ratio_cascade")) > 0


@with_bundle
@pytest.mark.parametrize("peer", [False, pytest.param(True, marks=[pytest.mark.train, pytest.mark.slow])])
def test_the_contenders_score_the_same_texts(peer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if peer and not transformers_pipeline.available():
        pytest.skip("the extra train is not installed")
    monkeypatch.delenv("FLAGSTREAM_DATA", raising=False)
    monkeypatch.setattr(transformers_pipeline, "available", lambda: peer)
    figures = run_text(texts=60, rounds=1)
    assert figures.keys() >= {"texts_per_s", "hf_texts_per_s", "ratio_hf", "ceiling_texts_per_s", "efficiency", "tokens_mean", "model", "cores"}
    assert figures["cores"] == 1
    assert figures["texts_per_s"] > 0
    assert (figures["hf_texts_per_s"] is not None) == (figures["ratio_hf"] is not None) == peer
