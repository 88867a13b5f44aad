"""The bundle's first model before Flagstream's own classifier, as a worker calls the two with the setting `cascade`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.bundle import Bundle
from models.errors import BundleError
from models.first import FILE, Cascade, First
from models.text import TextClassifier
from stream.worker import TEXT_BATCH

NAME = "cascade"
WHAT = f"the same with the first model before it, {TEXT_BATCH} at a time"


def prepare(bundle: Bundle, texts: Sequence[str], *, tell: Callable[[int], object] = lambda _: None) -> Callable[[], int]:
    """Scores all of `texts` in the worker's batches; `tell` gets how many of a batch were cleared."""
    first = First.of(bundle)
    if first is None:
        raise BundleError(f"{bundle.folder}: the card names no {FILE}")
    scorer = Cascade(TextClassifier.load(bundle, threads=1), first, tell=tell)

    def score() -> int:
        for start in range(0, len(texts), TEXT_BATCH):
            scorer.score(texts[start : start + TEXT_BATCH])
        return len(texts)

    return score
