"""What a user's own labels gain: heads fitted to some labels of a set that was never trained on, measured on the test part of that set."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.errors import ModelError
from models.metrics import auc, average_precision, bootstrap
from models.normalise import normalise
from models.text import TextClassifier
from models.train import text_baseline
from models.train.text_data import MAX_CHARS, TextTable
from models.train.text_slices import SLICES, Slice, SliceSpec, read
from models.train.text_sources import HEADS, SOURCES
from models.tuning.errors import NotBetter
from models.tuning.gate import read_sentences
from models.tuning.tune import tune
from models.tuning.verdicts import gather

log = logging.getLogger(__name__)
AS_SHIPPED, TUNED, TFIDF = "as shipped", "tuned", "TF-IDF + LR"
_CREATED = "2026-01-01"
"""On the cards of bundles that nobody keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """On the test part of a set: for each contender AUC with its 95 % interval (bootstrap) and average precision, all fitted to the same `verdicts`
    labels of its training part, but for the model as it is shipped. `refused` says why `tune` wrote nothing; then the tuned model is the shipped one."""

    slice: str
    label: str
    verdicts: int
    texts: int
    positives: int
    auc: Mapping[str, tuple[float, float, float]]
    ap: Mapping[str, float]
    refused: str


def gains(bundle: Path, data: Path, *, verdicts: Sequence[int], thresholds: Mapping[str, float], limit: int = 0) -> list[Gain]:
    """For each set under `data` that was never trained on and has a part to fit to, and each number of `verdicts` (drawn with a fixed seed).
    `thresholds` are those of the policy that `tune` holds the tuned model to; of a test part at most `limit` texts count (0: all). Raises
    `ModelError` when no such set is there."""
    opened = Bundle.open(bundle)
    shipped = TextClassifier.load(opened)
    specs = [spec for spec in _specs(shipped.labels) if (data / "moderation" / f"{spec.source}.parquet").is_file()]
    if not specs:
        raise ModelError(f"{data}: none of {', '.join(dict.fromkeys(spec.source for spec in _specs(shipped.labels)))} in its folder moderation")
    found = []
    for spec in specs:
        asked = read(data, spec, limit=limit)
        before = shipped.score(asked.texts)[:, shipped.labels.index(spec.label)]
        for number in verdicts:
            given = read(data, spec, split="train", limit=number)
            after, refused = _tuned(opened, given, asked.texts, thresholds)
            scores = {AS_SHIPPED: before, TUNED: before if after is None else after, TFIDF: _baseline(given)(asked.texts)}
            found.append(_gain(asked, len(given.texts), scores, refused))
            log.info("text.tuned %s", found[-1])
    return found


def _specs(labels: Sequence[str]) -> list[SliceSpec]:
    """Slices of sets that were never trained on and have a training part of their own."""
    sets = {source.name for source in SOURCES}
    return [spec for spec in SLICES if spec.source in sets and not spec.seen and not spec.whole and spec.label in labels]


def _tuned(
    bundle: Bundle, given: Slice, texts: Sequence[str], thresholds: Mapping[str, float]
) -> tuple[NDArray[np.float32] | None, str]:
    """Scores of `texts` by the bundle tuned on `given`; None and why, where `tune` refuses."""
    label = given.spec.label
    lines = [
        (number, {"text": text, "label": label, "outcome": "confirmed" if holds else "overturned"})
        for number, (text, holds) in enumerate(zip(given.texts, given.truth.tolist(), strict=True), start=1)
    ]
    with TemporaryDirectory() as folder:
        try:
            made = tune(bundle, gather(lines), Path(folder) / "tuned", thresholds=thresholds, sentences=read_sentences(), created=_CREATED)
        except NotBetter as error:
            return None, str(error)
        model = TextClassifier.load(Bundle.open(made.folder))
        return model.score(texts)[:, model.labels.index(label)], ""


def _baseline(given: Slice) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """The standing baseline, fitted to the same labels."""
    rows, column = len(given.texts), HEADS.index(given.spec.label)
    targets, weights = np.zeros((rows, len(HEADS)), np.float32), np.zeros((rows, len(HEADS)), np.float32)
    targets[:, column], weights[:, column] = given.truth, 1
    texts = [normalise(text[:MAX_CHARS]) for text in given.texts]
    everywhere = partial(np.full, rows)
    table = TextTable(
        texts=texts, sources=everywhere(given.spec.source), splits=everywhere("train"), targets=targets, weights=weights,
        shares=np.ones(rows, np.float32),
    )  # fmt: skip
    peer = text_baseline.fit(table, [given.spec.label])
    return lambda texts: peer.score(texts)[:, 0]


def _gain(asked: Slice, verdicts: int, scores: Mapping[str, NDArray[np.float32]], refused: str) -> Gain:
    truth = asked.truth
    return Gain(
        slice=asked.title,
        label=asked.spec.label,
        verdicts=verdicts,
        texts=len(truth),
        positives=int(truth.sum()),
        auc={name: (auc(truth, values), *bootstrap(auc, truth, values)) for name, values in scores.items()},
        ap={name: average_precision(truth, values) for name, values in scores.items()},
        refused=refused,
    )
