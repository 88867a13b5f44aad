"""Specialists: networks that learn one data set alone, and say of those of its texts which they have not seen what its annotators would.

A network that meets a text many times among many other sets learns its verdict by heart. What a network says of texts that it was
not trained on, each part of a set being left out in turn (cross-fitting: Chernozhukov et al. 2018, "Double/debiased machine learning";
stacking by the same means: Wolpert 1992), holds nothing of that but what near twins in the other parts tell, so it is what a student
can learn in place of the verdicts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.train.text_config import TextConfig
from models.train.text_data import FIRM, TextTable
from models.train.text_sources import HEADS
from models.train.text_teacher import opinions


@dataclass(frozen=True, slots=True, kw_only=True)
class Specialist:
    """A run that learned `columns` of `sources` alone, without the part `left_out` of `folds`."""

    run: Path
    sources: tuple[str, ...]
    columns: tuple[int, ...]
    folds: int
    left_out: int

    @classmethod
    def of(cls, run: Path) -> Specialist:
        """The specialist that the folder `run` holds. Raises `ModelError` where it holds none, or one that saw every text."""
        try:
            noted = json.loads((run / "config.json").read_text())
            found = cls(
                run=run, sources=tuple(noted["sources"]), columns=tuple(_columns(noted["heads"])),
                folds=int(noted["folds"]), left_out=int(noted["left_out"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{run}: not a specialist: {type(error).__name__} in its config.json") from error
        if not found.sources or not 0 <= found.left_out < found.folds or found.folds < 2:
            raise ModelError(f"{run}: not a specialist: its run names no sources, or left no part of them out")
        return found

    def unseen(self, texts: Sequence[str], sources: NDArray[np.str_]) -> NDArray[np.int64]:
        """The positions of those of `texts` that are of its sets and that it has not seen."""
        return np.flatnonzero(np.isin(sources, self.sources) & _of_part(texts, self.folds, self.left_out))


def part(text: str, folds: int) -> int:
    """Which of `folds` parts the normalised `text` belongs to."""
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
    if (left := int((kept & (table.splits == "train")).sum())) < config.batch:
        raise ModelError(f"{left} texts of {', '.join(config.sources)} are left to train on, fewer than a batch of {config.batch}")
    return replace(
        table,
        texts=[table.texts[row] for row in np.flatnonzero(kept)],
        sources=table.sources[kept], splits=table.splits[kept], targets=table.targets[kept], weights=weights[kept],
        shares=np.ones(int(kept.sum()), np.float32),
    )


class Opinions(NamedTuple):
    """What `specialist` says of the texts at `places`, none of which it has seen, as probabilities [places, heads]."""

    specialist: Specialist
    places: NDArray[np.int64]
    said: NDArray[np.float32]


def of_unseen(specialists: Sequence[Specialist], table: TextTable, rows: NDArray[np.int64], *, max_tokens: int) -> list[Opinions]:
    """What each of `specialists` says of those of the texts at `rows` that are of its sets and new to it; places are positions in `rows`.
    Raises `ModelError` for one to which no text is new."""
    texts, sources = [table.texts[row] for row in rows], table.sources[rows]
    found = []
    for one in specialists:
        places = one.unseen(texts, sources)
        if not len(places):
            raise ModelError(f"{one.run}: no text of {', '.join(one.sources)} here is new to it")
        found.append(Opinions(one, places, opinions([one.run], [texts[place] for place in places], max_tokens=max_tokens)))
    return found


def second_opinions(
    heard: Sequence[Opinions], table: TextTable, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What specialists say in `heard` of the texts at `rows` as probabilities [rows, heads], and where one of them does: on its heads, where
    an annotator decides as well. Of several the last one that speaks is heard."""
    told = np.zeros((len(rows), len(HEADS)), np.float32)
    known = np.zeros(told.shape, np.bool_)
    firm = table.weights[rows] >= FIRM
    for one, places, said in heard:
        for column in one.columns:
            decided = firm[places, column]
            told[places[decided], column], known[places[decided], column] = said[decided, column], True
    return told, known


def _of_part(texts: Sequence[str], folds: int, number: int) -> NDArray[np.bool_]:
    return np.fromiter((part(text, folds) == number for text in texts), np.bool_, len(texts))


def _columns(heads: Sequence[str]) -> list[int]:
    return [HEADS.index(head) for head in heads or HEADS]
