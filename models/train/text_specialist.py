"""Specialists: networks that learn one data set alone, and say of those of its texts which they have not seen what its annotators would.

A network that meets a text many times among many other sets learns its verdict by heart. What a network says of texts that it was
not trained on, each part of a set being left out in turn (cross-fitting: Chernozhukov et al. 2018, "Double/debiased machine learning";
stacking by the same means: Wolpert 1992), holds nothing of that, so it is what a student can learn in place of the verdicts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.train.text_config import TextConfig
from models.train.text_data import FIRM, TextTable
from models.train.text_sources import HEADS
from models.train.text_teacher import opinions


def part(text: str, folds: int) -> int:
    """Which of `folds` parts `text` belongs to, whatever table it stands in."""
    return zlib.crc32(text.encode()) % folds


def specialised(table: TextTable, config: TextConfig) -> TextTable:
    """What of `table` a specialist of `config` sees: verdicts of annotators on `config.heads` in `config.sources`, each text drawn as often
    as any other, without the training texts of the part that is left out."""
    columns = _columns(config.heads)
    weights = np.zeros_like(table.weights)
    weights[:, columns] = table.weights[:, columns]
    weights[weights < FIRM] = 0
    kept = np.isin(table.sources, config.sources) & weights.any(1)
    if config.folds > 1:
        kept &= (table.splits != "train") | ~_of_part(table.texts, config.folds, config.left_out)
    if not (kept & (table.splits == "train")).any():
        raise ModelError(f"no text of {', '.join(config.sources)} is left to train on")
    return replace(
        table,
        texts=[table.texts[row] for row in np.flatnonzero(kept)],
        sources=table.sources[kept], splits=table.splits[kept], targets=table.targets[kept], weights=weights[kept],
        shares=np.ones(int(kept.sum()), np.float32),
    )


def second_opinions(
    runs: Sequence[Path], table: TextTable, rows: NDArray[np.int64], *, max_tokens: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What the specialists of `runs` say of the texts at `rows` as probabilities [rows, heads], and where one of them does: of the texts of
    its sources that it has not seen, on its heads, where an annotator decides as well. Of several the last one that speaks is heard.
    Raises `ModelError` for a run that is no specialist, or saw every text."""
    told = np.zeros((len(rows), len(HEADS)), np.float32)
    known = np.zeros(told.shape, np.bool_)
    firm = table.weights[rows] >= FIRM
    texts = [table.texts[row] for row in rows]
    for run in runs:
        noted = json.loads((run / "config.json").read_text())
        sources, columns, folds = noted.get("sources"), _columns(noted.get("heads", ())), noted.get("folds", 1)
        if not sources or folds < 2:
            raise ModelError(f"{run}: not a specialist: its run names no sources and folds")
        unseen = np.flatnonzero(np.isin(table.sources[rows], sources) & _of_part(texts, folds, noted["left_out"]))
        if not len(unseen):
            continue
        said = opinions([run], [texts[at] for at in unseen], max_tokens=max_tokens)
        for column in columns:
            heard = unseen[firm[unseen, column]]
            told[heard, column] = said[firm[unseen, column], column]
            known[heard, column] = True
    return told, known


def _of_part(texts: Sequence[str], folds: int, number: int) -> NDArray[np.bool_]:
    return np.fromiter((part(text, folds) == number for text in texts), np.bool_, len(texts))


def _columns(heads: Sequence[str]) -> list[int]:
    return [HEADS.index(head) for head in heads or HEADS]
