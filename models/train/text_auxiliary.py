"""Auxiliary outputs: what the annotators of one data set call a harm, learned beside what the model ships and dropped at the end.

Where two sets mean different things by a head, one output learns neither well: it is told both. With an output for each (auxiliary tasks:
Caruana 1997, "Multitask Learning"), taught by specialists of the set of every text that one of them has not seen, the network learns what either needs, and the head that
ships draws on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import ModelError
from models.train.text_data import TextTable
from models.train.text_sources import HEADS
from models.train.text_specialist import Opinions, Specialist
from models.train.text_teacher import opinions

_OUTPUTS = "classifier.weight", "classifier.bias"


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """An output for what `source` means by the head at `column`, and the specialists that teach it."""

    source: str
    column: int
    specialists: tuple[Specialist, ...]

    @property
    def name(self) -> str:
        """As `hate@edos`."""
        return f"{HEADS[self.column]}@{self.source}"


def auxiliaries(sources: Sequence[str], specialists: Sequence[Specialist]) -> list[Auxiliary]:
    """One for each head that specialists of `sources` alone learned. Raises `ModelError` for a source that has none."""
    found = []
    for source in sources:
        alone = [one for one in specialists if one.sources == (source,)]
        if not alone:
            raise ModelError(f"auxiliary: no specialist of {source} alone; name one with --specialist")
        columns = sorted({column for one in alone for column in one.columns})
        found += [Auxiliary(source, column, tuple(one for one in alone if column in one.columns)) for column in columns]
    return found


def widened(weights: Mapping[str, torch.Tensor], outputs: Sequence[Auxiliary]) -> dict[str, torch.Tensor]:
    """The weights of a network of `HEADS` with `outputs` behind them, each of which begins as the head that it is of."""
    more = {name: torch.stack([weights[name][one.column] for one in outputs]) for name in _OUTPUTS} if outputs else {}
    return {**weights, **{name: torch.cat([weights[name], added]) for name, added in more.items()}}


def trimmed(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights without auxiliary outputs."""
    return {**weights, **{name: weights[name][: len(HEADS)].clone() for name in _OUTPUTS}}


def answers(
    outputs: Sequence[Auxiliary], heard: Sequence[Opinions], table: TextTable, rows: NDArray[np.int64], *, max_tokens: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What the specialists of `outputs` say of the texts at `rows` as probabilities [rows, outputs], and of which they say something:
    of a text of their own set what one says in `heard` (of several the last), of any other all of them, in the mean of their log-odds."""
    said = np.zeros((len(rows), len(outputs)), np.float32)
    known = np.zeros(said.shape, np.bool_)
    for at, output in enumerate(outputs):
        for one, places, told in heard:
            if one in output.specialists:
                said[places, at], known[places, at] = told[:, output.column], True
        others = np.flatnonzero(table.sources[rows] != output.source)
        if len(others):
            texts, runs = [table.texts[row] for row in rows[others]], [one.run for one in output.specialists]
            said[others, at], known[others, at] = opinions(runs, texts, max_tokens=max_tokens)[:, output.column], True
    return said, known
