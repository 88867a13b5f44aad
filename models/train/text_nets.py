"""Finished runs of other layers and widths beside each other: quality against texts a second against megabytes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models import ragged
from models.metrics import auc
from models.session import open_session
from models.train.text_bundle import TOKEN_BUDGET, calibration_ids, column_of, encode, quantise, valid_cells
from models.train.text_data import FIRM, TextTable
from models.train.text_narrow import widths_in

log = logging.getLogger(__name__)
LEAST = 8
"""Positives, and negatives, that a set must have for its AUC to count."""
_TURNS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Net:
    """An int8 graph: the neurons of each layer's feed-forward part, its size, texts a second of its session on one thread
    (ready-made batches), and for each label the mean AUC over the sets whose annotators decide it, on validation texts."""

    run: str
    feed_forward: tuple[int, ...]
    mb: float
    texts_per_s: float
    auc: dict[str, float]

    @property
    def mean_auc(self) -> float:
        """The mean over the labels."""
        return float(np.mean(list(self.auc.values())))


def compare(runs: Sequence[Path], table: TextTable, *, labels: Sequence[str], per_source: int = 600) -> list[Net]:
    """The runs in turn, at most `per_source` validation texts a set. Speeds are the best of several turns taken one after the other."""
    columns = [column_of(label) for label in labels]
    rows = valid_cells(table, per_source=per_source)
    texts = [table.texts[row] for row in rows]
    nets: list[tuple[Path, ort.InferenceSession, list[list[int]], int, dict[str, float]]] = []
    for run in runs:
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        graph = quantise(run, calibration_ids(table, tokenizer, per_source=100), columns=columns).int8
        session, ids = open_session(graph, threads=1), encode(tokenizer, texts)
        found = _aucs(ragged.run(session, ids, token_budget=TOKEN_BUDGET), rows, table, labels)
        log.info("text.net %s mean_auc=%.4f", run, np.mean(list(found.values())))
        nets.append((run, session, ids[: len(ids) // 8], len(graph), found))
    best = [float("inf")] * len(nets)
    for _ in range(_TURNS):
        for place, (_, session, ids, _, _) in enumerate(nets):
            began = time.perf_counter()
            ragged.run(session, ids, token_budget=TOKEN_BUDGET)
            best[place] = min(best[place], time.perf_counter() - began)
    return [
        Net(run=str(run), feed_forward=_widths(run), mb=size / 1e6, texts_per_s=len(ids) / seconds, auc=found)
        for (run, _, ids, size, found), seconds in zip(nets, best, strict=True)
    ]


def _aucs(logits: NDArray[np.float32], rows: NDArray[np.int64], table: TextTable, labels: Sequence[str]) -> dict[str, float]:
    sets = np.array([str(source).split("/")[0] for source in table.sources[rows]])
    found: dict[str, float] = {}
    for column, label in enumerate(labels):
        known = table.weights[rows, column_of(label)] >= FIRM
        truth = table.targets[rows, column_of(label)] > 0.5
        each = []
        for one in np.unique(sets):
            mine = known & (sets == one)
            if LEAST <= truth[mine].sum() <= mine.sum() - LEAST:
                each.append(auc(truth[mine], logits[mine, column]))
        if each:
            found[label] = float(np.mean(each))
    return found


def _widths(run: Path) -> tuple[int, ...]:
    return tuple(widths_in(torch.load(run / "weights.pt", weights_only=True, mmap=True)))
