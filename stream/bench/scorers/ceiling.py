"""The bare session: the same batches without padding, tokenised and laid out before the clock starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models import ragged
from models.bundle import Bundle
from models.text import TextClassifier
from stream.worker import TEXT_BATCH

NAME = "ceiling"
WHAT = "session.run alone, on ready-made batches"


def prepare(bundle: Bundle, texts: Sequence[str]) -> Callable[[], int]:
    """Runs the session over the batches of `texts`."""
    model = TextClassifier.load(bundle, threads=1)
    session, budget = model._session, model.limits.token_budget
    feeds = []
    for start in range(0, len(texts), TEXT_BATCH):
        ids, _ = model.tokenise(texts[start : start + TEXT_BATCH])
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        feeds += [ragged.feed([ids[row] for row in rows]) for rows in ragged.groups(lengths, token_budget=budget)]

    def score() -> int:
        for feed in feeds:
            session.run(["logits"], feed)
        return len(texts)

    return score


def tokens(bundle: Bundle, texts: Sequence[str]) -> float:
    """Mean tokens of a text, those of all its windows with their marks."""
    ids, _ = TextClassifier.load(bundle, threads=1).tokenise(texts)
    return sum(map(len, ids)) / max(1, len(texts))
