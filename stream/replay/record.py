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
        self._calls: list[NDArray[np.float32] | None] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._model, name)

    def score(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """The model's answer, which is kept."""
        self._calls.append(None)
        answer: NDArray[np.float32] = self._model.score(items)
        self._calls[-1] = answer
        return answer

    def take(self, width: int) -> Micro:
        """The scores of the batch that was just judged, shape [scored, width], and forget them. An event whose scoring failed is
        left out, as it is in the agent's outcome, where it is a dead letter.

        An agent asks for the whole batch first and, only if that fails, for its events one by one, in order."""
        calls, self._calls = self._calls, []
        rows = [answer.reshape(-1, width) for answer in (calls[1:] if len(calls) > 1 else calls) if answer is not None]
        found = np.concatenate(rows) if rows else np.empty((0, width), np.float32)
        return micro(found[np.isfinite(found).all(axis=1)])
