"""Unintended bias by who is spoken of, after Borkan, Dixon, Sorensen, Thain and Vasserman, "Nuanced Metrics for Measuring Unintended
Bias with Real Data for Text Classification" (2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.metrics import auc
from models.train.text_evaluate import Peer
from models.train.text_slices import SLICES, read
from models.train.text_terms import IDENTITIES

POOLS: dict[str, tuple[tuple[str, str], ...]] = {
    "hate": (("dynahate", "hate"), ("measuring_hate", "hate"), ("stormfront", "hate"), ("founta", "hate")),
    "any": (("jigsaw", "toxic"), ("jigsaw_binary", "toxic"), ("davidson", "hate or offensive"), ("tweeteval_offensive", "offensive")),
}
"""Test slices (source, name) that are pooled for a label."""
LEAST = 20
"""Texts that each class of a subgroup must have."""
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in IDENTITIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """A subgroup: texts that name `identity`. `subgroup` is the AUC inside it; `bpsn` that of positives of the background against
    negatives of the subgroup (low: harmless texts that name the group are flagged); `bnsp` that of positives of the subgroup against
    negatives of the background (low: harmful ones are missed)."""

    label: str
    identity: str
    texts: int
    positives: int
    subgroup: float
    bpsn: float
    bnsp: float


def judge(label: str, identity: str, named: NDArray[np.bool_], truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> Bias:
    """The three figures of a subgroup; `named` says of each text whether it names the group. All arrays are of shape [texts]."""
    crossed = (named & ~truth) | (~named & truth), (named & truth) | (~named & ~truth)
    return Bias(
        label=label,
        identity=identity,
        texts=int(named.sum()),
        positives=int((named & truth).sum()),
        subgroup=auc(truth[named], scores[named]),
        bpsn=auc(truth[crossed[0]], scores[crossed[0]]),
        bnsp=auc(truth[crossed[1]], scores[crossed[1]]),
    )


def bias(peer: Peer, data: Path, *, limit: int = 0) -> tuple[Bias, ...]:
    """Every subgroup with at least `LEAST` texts of each class in the pooled test slices of a label, at most `limit` (0: all) a slice."""
    found: list[Bias] = []
    for label, pool in POOLS.items():
        texts: list[str] = []
        truths: list[NDArray[np.bool_]] = []
        for spec in SLICES:
            if (spec.source, spec.name) in pool and spec.label == label:
                piece = read(data, spec, limit=limit)
                texts += piece.texts
                truths.append(piece.truth)
        scores = peer.label(label, texts)
        if scores is None:
            continue
        truth = np.concatenate(truths)
        for identity in IDENTITIES:
            named = names(identity, texts)
            if min((named & truth).sum(), (named & ~truth).sum()) >= LEAST:
                found.append(judge(label, identity, named, truth, scores))
    return tuple(found)


def names(identity: str, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Of each text, whether it names the group."""
    return np.array([_PATTERNS[identity].search(text) is not None for text in texts], bool)
