"""The scores that an agent saw, event by event: a model that writes down what it answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNSCORED = 0xFFFFFFFF
"""In place of a score where the model gave none."""
MILLION = 1_000_000

Micro = NDArray[np.uint32]
"""Probabilities in millionths: an agent rounds to six decimals, so nothing is lost."""


def micro(scores: NDArray[np.float32]) -> Micro:
    """`scores` in millionths. Exact: a float32 times a million fits a float64, and both sides round half to even."""
    wide = scores.astype(np.float64)
    finite = np.isfinite(wide)
    return np.where(finite, np.rint(np.where(finite, wide, 0.0) * MILLION), UNSCORED).astype(np.uint32)


class Recorder:
    """Stands between an agent and its model, and keeps the answers until they are taken. Everything but `score` is the model's own."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 (a text or a transaction scorer)
        self._model = model
        self._calls: list[tuple[int, NDArray[np.float32] | None]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._model, name)

    def score(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """The model's answer, which is kept."""
        self._calls.append((len(items), None))
        answer: NDArray[np.float32] = self._model.score(items)
        self._calls[-1] = (len(items), answer)
        return answer

    def take(self, count: int, width: int) -> Micro:
        """The scores of the batch of `count` events that was just judged, shape [count, width], and forget them.

        An agent asks for the whole batch first and, only if that fails, for its events one by one, in order."""
        calls, self._calls = self._calls, []
        if len(calls) > 1 or (calls and calls[0][0] != count):
            calls = calls[1:]
        rows = [
            np.full((asked, width), np.nan, np.float32) if answer is None else answer.reshape(asked, width) for asked, answer in calls
        ]
        found = np.concatenate(rows) if rows else np.empty((0, width), np.float32)
        if len(found) != count:
            raise AssertionError(f"{len(found)} scores for {count} events")
        return micro(found)
