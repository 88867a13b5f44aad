"""What a replay remembers of every event: a row of fixed size in a file, mapped into memory when it is read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.entry import key64
from schemas.message import Message
from schemas.transaction import Transaction
from stream.replay.record import Micro
from stream.replay.segments import BANDS_MINOR, BY_NAME, Segments

Rows = NDArray[np.void]
"""Structured as `row_type` says."""
CHUNK = 65_536
"""Rows taken into memory at a time."""


def row_type(labels: int, against: int) -> np.dtype[np.void]:
    """A row: offset in its part, event time (epoch ms), `key64` of the event's id, amount in minor units (0 for messages), segments,
    and the scores of both sides in millionths."""
    return np.dtype([
        ("offset", "<i8"), ("at_ms", "<i8"), ("event", "<u8"), ("amount_minor", "<i8"),
        *[(segment, "<u2") for segment in BY_NAME], ("band", "u1"), ("account", "u1"),
        ("scores", "<u4", (labels,)), ("against", "<u4", (against,)),
    ])


def rows_of(
    events: Sequence[tuple[int, Message | Transaction]], scores: Micro, against: Micro, segments: Segments, ages: Sequence[int]
) -> Rows:
    """The rows of `events`, each with its offset; `ages` as `Ages.of` gives them."""
    rows = np.zeros(len(events), row_type(scores.shape[1], against.shape[1]))
    if not len(rows):
        return rows
    amounts = [event.amount_minor if isinstance(event, Transaction) else 0 for _, event in events]
    rows["offset"] = [offset for offset, _ in events]
    rows["at_ms"] = [int(event.occurred_at.timestamp() * 1000) for _, event in events]
    rows["event"] = [key64(event.id) for _, event in events]
    rows["amount_minor"] = amounts
    for segment, column in zip(BY_NAME, zip(*[segments.codes(event) for _, event in events], strict=True), strict=True):
        rows[segment] = column
    rows["band"] = [bisect_right(BANDS_MINOR, amount) - 1 for amount in amounts]
    rows["account"] = ages
    rows["scores"], rows["against"] = scores, against
    return rows


def map_rows(path: Path, kind: np.dtype[np.void]) -> Rows:
    """The rows in a file, read as they are touched; a torn last row is left out."""
    count = path.stat().st_size // kind.itemsize if path.exists() else 0
    if not count:
        return np.zeros(0, kind)
    mapped: Any = np.memmap(path, kind, "r", shape=(count,))
    return mapped  # type: ignore[no-any-return]  # a memmap is an array
