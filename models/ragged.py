"""Batches without padding for the text graph: which texts run together, and the index arrays that tell their tokens apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

AHEAD = 64
"""Groups whose inputs are made at once."""

_STEPS = np.arange(512, dtype=np.int64)


def groups(lengths: NDArray[np.int64], *, token_budget: int) -> Iterator[NDArray[np.int64]]:
    """Positions of texts to run together: sorted by length, at most `token_budget` tokens in a group (or one text)."""
    order = np.argsort(lengths, kind="stable")
    start = total = 0
    for end, position in enumerate(order):
        if total + lengths[position] > token_budget and end > start:
            yield order[start:end]
            start, total = end, 0
        total += lengths[position]
    if start < len(order):
        yield order[start:]


def feed(ids: Sequence[Sequence[int]]) -> dict[str, NDArray[np.generic]]:
    """The graph's inputs for token ids of at least one text; every text has at least one token and at most 512."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    total = int(lengths.sum())
    starts = np.zeros(len(ids), np.int64)
    np.cumsum(lengths[:-1], out=starts[1:])
    steps = _STEPS[: int(lengths.max())]
    present = steps[None] < lengths[:, None]
    places = np.flatnonzero(present)
    return {
        "input_ids": np.fromiter(chain.from_iterable(ids), np.int32, total),
        "position_ids": (places % len(steps)).astype(np.int32),
        # Absent places read row 0, which the mask hides.
        "idx": np.where(present, starts[:, None] + steps, 0),
        "inv": places,
        "mask": present.astype(np.int32),
        "cls": starts,
    }


def run(
    session: ort.InferenceSession, ids: Sequence[Sequence[int]], *, token_budget: int, output: str = "logits"
) -> NDArray[np.float32]:
    """Logits of shape [texts, labels], or another output of a row a text, in the order of `ids`, which must not be empty."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    left = groups(lengths, token_budget=token_budget)
    places: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float32]] = []
    # A run leaves nothing of Python's in the caches: inputs made in one go cost a fifth of those made one by one in between.
    while ahead := [(rows, feed([ids[row] for row in rows.tolist()])) for rows in islice(left, AHEAD)]:
        for rows, inputs in ahead:
            places.append(rows)
            values += session.run([output], inputs)
    found = np.concatenate(values)
    out = np.empty_like(found)
    out[np.concatenate(places)] = found
    return out
