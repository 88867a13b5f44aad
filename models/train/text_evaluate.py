"""What a text bundle is worth: every slice of the table, robustness to disguises, and hard negatives on unseen wordings."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.bundle import Bundle
from models.card import Quality
from models.metrics import auc, average_precision, best_threshold, bootstrap, macro_f1, recall_at
from models.text import TextClassifier
from models.train.text_augment import WORD_DISGUISES
from models.train.text_families import FAMILIES
from models.train.text_slices import ABUSIVE, SLICES, Slice, SliceSpec, read
from models.train.text_templates import Sentence, sentences

log = logging.getLogger(__name__)
Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts to probabilities [texts, labels]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Something to compare with: its labels, and its scores for any texts."""

    labels: tuple[str, ...]
    score: Scorer

    def label(self, name: str, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Scores of one label, or of `any`; None when the peer does not know the label."""
        if name != "any":
            return self.score(texts)[:, self.labels.index(name)] if name in self.labels else None
        columns = [self.labels.index(label) for label in ABUSIVE if label in self.labels]
        return self.score(texts)[:, columns].max(1) if columns else None


def classifier(bundle: Bundle) -> Peer:
    """The bundle's own classifier as a peer."""
    model = TextClassifier.load(bundle)
    known: dict[str, NDArray[np.float32]] = {}

    def score(texts: Sequence[str]) -> NDArray[np.float32]:
        # Slices of one set share their texts.
        new = list(dict.fromkeys(text for text in texts if text not in known))
        known.update(zip(new, model.score(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else model.score([])

    return Peer(labels=model.labels, score=score)


def evaluate(
    bundle: Path, data: Path, *, peers: Mapping[str, Peer] | None = None, limit: int = 0, rounds: int = 200
) -> tuple[Quality, ...]:
    """The figures of every slice for the bundle, and for each peer beside it, on test parts alone.

    `auc`, `average_precision` and `recall_at_1pct` need no threshold; `macro_f1` uses each model's threshold best on the validation
    part of the same set, or, on a set that was never trained on, the label's one over all sets' validation parts."""
    own = classifier(Bundle.open(bundle))
    everyone = {_OWN: own, **(peers or {})}
    lines = {name: _lines(peer, data, limit=limit) for name, peer in everyone.items()}
    found: list[Quality] = []
    for spec in SLICES:
        quality = _judge(read(data, spec, limit=limit), everyone, lines, rounds=rounds)
        if quality is not None:
            log.info("text.slice %s %s %s", quality.slice, quality.label, {k: round(v, 4) for k, v in quality.figures.items()})
            found.append(quality)
    return tuple(found)


_OWN = ""
Lines = Callable[[SliceSpec], float]
"""The threshold to use for a slice."""


def _lines(peer: Peer, data: Path, *, limit: int) -> Lines:
    lines: dict[tuple[str, str], float] = {}
    pooled: dict[str, tuple[list[NDArray[np.bool_]], list[NDArray[np.float32]]]] = {}
    for spec in SLICES:
        valid = read(data, spec, split="valid", limit=min(limit or 1500, 1500))
        scores = peer.label(spec.label, valid.texts) if valid.seen and len(valid.texts) else None
        if scores is not None and valid.truth.any():
            lines[spec.source, spec.name] = best_threshold(valid.truth, scores)
            pool = pooled.setdefault(spec.label, ([], []))
            pool[0].append(valid.truth)
            pool[1].append(scores)
    general = {label: best_threshold(np.concatenate(truths), np.concatenate(scores)) for label, (truths, scores) in pooled.items()}
    return lambda spec: lines.get((spec.source, spec.name), general.get(spec.label, 0.5))


def _judge(piece: Slice, everyone: Mapping[str, Peer], lines: Mapping[str, Lines], *, rounds: int) -> Quality | None:
    spec, truth = piece.spec, piece.truth
    scores = everyone[_OWN].label(spec.label, piece.texts)
    if scores is None or not truth.any() or truth.all():
        return None
    line = lines[_OWN](spec)
    others = {
        name: _figures(truth, theirs, lines[name](spec))
        for name, peer in everyone.items()
        if name != _OWN and (theirs := peer.label(spec.label, piece.texts)) is not None
    }
    return Quality(
        slice=piece.title,
        label=spec.label,
        rows=len(truth),
        positives=int(truth.sum()),
        figures=_figures(truth, scores, line),
        intervals={
            "auc": bootstrap(auc, truth, scores, rounds=rounds),
            "average_precision": bootstrap(average_precision, truth, scores, rounds=rounds),
            "recall_at_1pct": bootstrap(lambda t, s: recall_at(t, s, 0.01), truth, scores, rounds=rounds),
            "macro_f1": bootstrap(lambda t, s: macro_f1(t, s >= line), truth, scores, rounds=rounds),
        },
        baselines=others,
        note="other texts of this set were trained on" if piece.seen else "out of source: nothing of this set was trained on",
    )


def _figures(truth: NDArray[np.bool_], scores: NDArray[np.float32], line: float) -> dict[str, float]:
    return {
        "auc": auc(truth, scores),
        "average_precision": average_precision(truth, scores),
        "recall_at_1pct": recall_at(truth, scores, 0.01),
        "macro_f1": macro_f1(truth, scores >= line),
    }


def quantisation(bundle: Path, float32: Path, data: Path, *, limit: int = 500) -> dict[str, float]:
    """Per slice the AUC of the bundle `float32` minus that of `bundle`, on the same at most `limit` test texts."""
    own, plain = classifier(Bundle.open(bundle)), classifier(Bundle.open(float32))
    lost: dict[str, float] = {}
    for spec in SLICES:
        piece = read(data, spec, limit=limit)
        if piece.truth.any() and not piece.truth.all() and (spec.label == "any" or spec.label in own.labels):
            lost[f"{piece.title} ({spec.label})"] = _auc(plain, spec, piece.texts, piece.truth) - _auc(own, spec, piece.texts, piece.truth)
    return lost


def graded(bundle: Path, data: Path, *, limit: int = 2000) -> float:
    """Spearman's rank correlation of the abusive labels' largest score with Ruddit's graded offensiveness."""
    frame = pd.read_parquet(data / "moderation" / "ruddit.parquet").sample(limit, random_state=0)
    scores = classifier(Bundle.open(bundle)).label("any", frame.text.tolist())
    ranks = [pd.Series(values).rank().to_numpy() for values in (scores, frame.offensiveness_score)]
    return float(np.corrcoef(ranks)[0, 1])


_ROBUST: tuple[tuple[str, str], ...] = (
    ("jigsaw", "toxic"),
    ("dynahate", "hate"),
    ("measuring_hate", "hate"),
    ("davidson", "hate or offensive"),
)


def robustness(bundle: Path, data: Path, *, limit: int = 500, seed: int = 0) -> dict[str, float]:
    """Mean AUC lost to each disguise, put on three of ten words of the test texts of four sets."""
    own = classifier(Bundle.open(bundle))
    lost: dict[str, list[float]] = {}
    for spec in SLICES:
        if (spec.source, spec.name) not in _ROBUST:
            continue
        piece = read(data, spec, limit=limit)
        clean = _auc(own, spec, piece.texts, piece.truth)
        for name, change in (("upper case", str.upper), *((d.__name__, _on_words(d, seed)) for d in WORD_DISGUISES)):
            lost.setdefault(name, []).append(clean - _auc(own, spec, [change(text) for text in piece.texts], piece.truth))
    return {name: float(np.mean(values)) for name, values in lost.items()}


def _auc(peer: Peer, spec: SliceSpec, texts: Sequence[str], truth: NDArray[np.bool_]) -> float:
    scores = peer.label(spec.label, texts)
    assert scores is not None
    return auc(truth, scores)


def _on_words(change: Callable[[str, random.Random], str], seed: int) -> Callable[[str], str]:
    rng = random.Random(seed)
    return lambda text: re.sub(r"[A-Za-z]{3,}", lambda match: change(match.group(), rng) if rng.random() < 0.3 else match.group(), text)


def hard_cases(bundle: Path, thresholds: Mapping[str, float], *, seed: int = 1) -> dict[str, tuple[float, int]]:
    """For each family of templates, on wordings never trained on: the share judged rightly at `thresholds`, every wording weighing the
    same, and the number of wordings.

    A harmless family is right when none of its decided labels is reached; a harmful one when one of its harms is."""
    own = classifier(Bundle.open(bundle))
    filled: dict[str, list[Sentence]] = {}
    for sentence in sentences(split="test", per_template=20, seed=seed):
        filled.setdefault(sentence.family.name, []).append(sentence)
    result: dict[str, tuple[float, int]] = {}
    for family in FAMILIES:
        mine = filled[family.name]
        scores = own.score([sentence.text for sentence in mine])
        known = [label for label in own.labels if label in thresholds]
        over = {label: scores[:, own.labels.index(label)] >= thresholds[label] for label in known}
        harms = [label for label in known if family.decides.get(label) == 1]
        clear = [label for label in known if family.decides.get(label) == 0]
        if harms:
            right = np.logical_or.reduce([over[label] for label in harms])
        elif clear:
            right = ~np.logical_or.reduce([over[label] for label in clear])
        else:
            continue
        by_wording = pd.Series(right).groupby([sentence.wording for sentence in mine]).mean()
        result[family.name] = float(by_wording.mean()), len(by_wording)
    return result
