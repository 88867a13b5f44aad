"""Texts that come again are scored once: spam comes in waves of the very same text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

KEPT = 20_000
"""Texts whose scores are remembered, the latest: some 5 MB."""


class TextScorer(Protocol):
    """What scores texts, each by itself: a text's row does not depend on the texts beside it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it scores, in the order of its columns."""
        ...

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores of shape [texts, labels]."""
        ...


class Repeats:
    """Scores as `scorer` does, but asks it once for texts that are equal to the last character. Texts are remembered by digest (BLAKE2b,
    128 bits) alone. `tell` is given how many texts of a batch had been scored before. Safe to call from several threads."""

    def __init__(self, scorer: TextScorer, *, kept: int = KEPT, tell: Callable[[int], object] = lambda _: None) -> None:
        self._scorer = scorer
        self._kept = kept
        self._tell = tell
        self._rows: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the scorer."""
        return self._scorer.labels

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What the scorer says of `texts`, shape [texts, labels]."""
        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        first = dict(zip(reversed(keys), reversed(texts), strict=True))
        with self._lock:
            rows = {key: row for key in first if (row := self._rows.get(key)) is not None}
        unknown = [key for key in first if key not in rows]
        if unknown:
            rows.update(zip(unknown, self._scorer.score([first[key] for key in unknown]), strict=True))
        self._tell(len(texts) - len(unknown))
        with self._lock:
            for key, row in rows.items():
                # A copy: a row of the batch would keep the whole batch.
                self._rows[key] = self._rows.get(key, row.copy())
                self._rows.move_to_end(key)
            while len(self._rows) > self._kept:
                self._rows.popitem(last=False)
        out = np.empty((len(texts), len(self.labels)), np.float32)
        for position, key in enumerate(keys):
            out[position] = rows[key]
        return out
