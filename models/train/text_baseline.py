"""The standing baselines: TF-IDF over words and pairs of words with logistic regression, one a label, on the same training cells; and
alt-profanity-check, the package that people install first."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.normalise import normalise
from models.train.text_data import MAX_CHARS, TextTable
from models.train.text_evaluate import Peer
from models.train.text_sources import HEADS


def fit(table: TextTable, labels: Sequence[str], *, texts: int = 60_000, seed: int = 0) -> Peer:
    """The baseline for `labels`, each fitted on at most `texts` texts whose cell is known, all positives first."""
    rows = table.rows("train")
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=3, max_features=200_000, sublinear_tf=True, dtype=np.float32)
    matrix = vectors.fit_transform(table.texts[row] for row in rows)
    rng = np.random.default_rng(seed)
    models: list[LogisticRegression] = []
    for label in labels:
        column = HEADS.index(label)
        weights, truth = table.weights[rows, column], table.targets[rows, column] > 0.5
        known = np.flatnonzero(weights > 0)
        if len(known) > texts:
            yes = known[truth[known]][: texts // 2]
            known = np.concatenate(
                [yes, rng.choice(known[~truth[known]], min(texts - len(yes), int((~truth[known]).sum())), replace=False)]
            )
        model = LogisticRegression(C=4.0, max_iter=200, class_weight="balanced", solver="liblinear")
        models.append(model.fit(matrix[known], truth[known], sample_weight=weights[known]))

    def score(given: Sequence[str]) -> NDArray[np.float32]:
        features = vectors.transform(normalise(text[:MAX_CHARS]) for text in given)
        return np.stack([model.predict_proba(features)[:, 1] for model in models], 1).astype(np.float32)

    return Peer(labels=tuple(labels), score=score)


def profanity_check() -> Peer | None:
    """alt-profanity-check, whose one score stands for every label of abuse that it may be meant for; None where it is not installed."""
    if find_spec("profanity_check") is None:
        return None
    predict_prob = import_module("profanity_check").predict_prob

    def score(given: Sequence[str]) -> NDArray[np.float32]:
        found = np.asarray(predict_prob(list(given)), np.float32) if given else np.zeros(0, np.float32)
        return np.stack([found, found], 1)

    return Peer(labels=("harassment", "profanity"), score=score)
