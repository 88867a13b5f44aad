"""What the frozen encoder makes of texts: the pooled vectors that the heads read, and the heads themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models import ragged
from models.bundle import Bundle
from models.errors import BundleError
from models.graph_bytes import tensor, with_output, with_tensor
from models.session import open_session
from models.text import TextClassifier

# The names that the export gives (models/train/text_export.py).
POOLED, WEIGHT, BIAS, LOGITS = "pooled", "out_w", "out_b", "logits"
CHUNK = 512

Show = Callable[[int, int], None]
"""Gets how many texts of how many were read."""


@dataclass(frozen=True, slots=True)
class Heads:
    """One linear head a label: logits = pooled · weight + bias; `weight` is [width, labels], `bias` [labels]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def with_head(self, column: int, weight: NDArray[np.float64], bias: float) -> Heads:
        """These heads with another one at `column`, or, where that is their number, one more."""
        wide = self if column < len(self.bias) else Heads(np.pad(self.weight, ((0, 0), (0, 1))), np.pad(self.bias, (0, 1)))
        weights, biases = wide.weight.copy(), wide.bias.copy()
        weights[:, column], biases[column] = weight, bias
        return Heads(weights, biases)


@dataclass(frozen=True, slots=True)
class Vectors:
    """A pooled vector for every window of every text, [windows, width], and the position of the text that it belongs to, [windows]."""

    pooled: NDArray[np.float32]
    owners: NDArray[np.int64]

    def telling(self, weight: NDArray[np.float64], bias: float) -> NDArray[np.int64]:
        """For each text the window on which a head is largest, whose score is the text's; the first of equal ones."""
        logits = self.pooled @ weight + bias
        order = np.lexsort((-logits, self.owners))
        _, first = np.unique(self.owners[order], return_index=True)
        return np.asarray(order[first], np.int64)


def heads_of(bundle: Bundle) -> Heads:
    """The heads in a text bundle. Raises `BundleError` when its graph is not one of ours."""
    model = bundle.model.read_bytes()
    heads = Heads(tensor(model, WEIGHT), tensor(model, BIAS))
    if heads.weight.ndim != 2 or heads.bias.shape != heads.weight.shape[1:] or len(heads.bias) != len(bundle.card.outputs):
        raise BundleError(f"{bundle.folder}: the heads in model.onnx do not fit the card")
    return heads


def graph_with(bundle: Bundle, heads: Heads) -> bytes:
    """The bundle's graph with other heads; byte for byte the same where they are the same."""
    model = bundle.model.read_bytes()
    if heads.weight.shape[1] != len(bundle.card.outputs):
        model = with_output(model, LOGITS, heads.weight.shape[1])
    return with_tensor(with_tensor(model, WEIGHT, heads.weight), BIAS, heads.bias)


def vectors(bundle: Bundle, texts: Sequence[str], *, threads: int, show: Show = lambda _done, _all: None) -> Vectors:
    """The vectors of `texts`, cut to windows as they are when scored. Raises `BundleError`."""
    model = TextClassifier.load(bundle, threads=threads)
    width = heads_of(bundle).weight.shape[0]
    session = open_session(with_output(bundle.model.read_bytes(), POOLED, width), threads=threads)
    pooled: list[NDArray[np.float32]] = []
    owners: list[NDArray[np.int64]] = []
    for start in range(0, len(texts), CHUNK):
        ids, mine = model.tokenise(texts[start : start + CHUNK])
        pooled.append(ragged.run(session, ids, token_budget=model.limits.token_budget, output=POOLED))
        owners.append(mine + start)
        show(min(start + CHUNK, len(texts)), len(texts))
    if not pooled:
        return Vectors(np.zeros((0, width), np.float32), np.zeros(0, np.int64))
    return Vectors(np.concatenate(pooled), np.concatenate(owners))
