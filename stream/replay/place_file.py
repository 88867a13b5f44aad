"""What is known of the terminals of a replay's transactions, part by part, as `places` left it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.halves import ALL_TERMINAL as NAMES
from schemas.codec import Position


class PlaceFile:
    """The terminal's half of the rows of one part after the other; they lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = -1
        self._offsets: NDArray[np.int64] = np.empty(0, np.int64)
        self._rows: NDArray[np.float64] = np.empty((0, len(NAMES)))

    def of(self, at: Position) -> Sequence[float] | None:
        """All features of the terminal's side of the transaction at `at`; None where its terminal is not assessed."""
        if at.partition != self._number:
            self._open(at.partition)
        place = int(np.searchsorted(self._offsets, at.offset))
        if place == len(self._offsets) or self._offsets[place] != at.offset:
            return None
        found: list[float] = self._rows[place].tolist()
        return found

    def _open(self, number: int) -> None:
        self._offsets, self._number = np.fromfile(self._folder / f"{number}.offsets", np.int64), number
        # An empty file cannot be mapped.
        mapped = np.memmap(self._folder / f"{number}.rows", np.float64, "r") if len(self._offsets) else np.empty(0)
        self._rows = mapped.reshape(-1, len(NAMES))
