"""The first model of a bundle: a weight a word piece, whose sum is the doubt that a text is harmless. Texts of little doubt are cleared
by it; the model reads the others, and says of them what it always says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.bundle import Bundle, file_sha256
from models.errors import BundleError
from models.text import TextClassifier
from schemas.base import Name
from schemas.codec import describe
from schemas.policy import Policy

FILE, PARAMETER = "first.npy", "first"
"""The weights as a file of the bundle, and the rest as a parameter of its card."""


class Terms(BaseModel):
    """What the card says of a first model: what is added to every sum, the doubt below which a text is cleared, and the review thresholds
    that this line was drawn for, by label."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    intercept: float
    line: float
    review: Annotated[dict[Name, Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """`weights` of word pieces, [pieces], in float16 but held in float64: a float16 is a multiple of 2^-24, and so is every sum of them,
    which float64 holds exactly for any text. Hence a doubt is the same in whatever order and on whatever machine it is summed up."""

    weights: NDArray[np.float64]
    terms: Terms

    @classmethod
    def of(cls, bundle: Bundle) -> Self | None:
        """The first model of `bundle`; None where it has none. Raises `BundleError` when half of it is missing, or it is none."""
        if FILE not in bundle.card.files and PARAMETER not in bundle.card.parameters:
            return None
        path = bundle.file(FILE)
        try:
            terms = Terms.model_validate(bundle.parameter(PARAMETER))
        except ValidationError as error:
            raise BundleError(f"{bundle.folder}/card.json: parameter {PARAMETER!r}: {describe(error)}") from error
        try:
            weights = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BundleError(f"{path}: no weights of a first model: {str(error).splitlines()[0]}") from error
        if not isinstance(weights, np.ndarray) or weights.dtype != np.float16 or weights.ndim != 1 or not np.isfinite(weights).all():
            raise BundleError(f"{path}: no weights of a first model: one finite float16 a word piece is wanted")
        return cls(weights=weights.astype(np.float64), terms=terms)

    def put(self, bundle: Bundle) -> Bundle:
        """`bundle` with this first model in its folder, in place of one that is there; its digest is another. The card comes last."""
        path = bundle.folder / FILE
        with path.open("wb") as file:
            np.save(file, self.weights.astype(np.float16), allow_pickle=False)
        card = bundle.card.model_copy(
            update={
                "files": bundle.card.files | {FILE: file_sha256(path)},
                "parameters": bundle.card.parameters | {PARAMETER: self.terms.model_dump()},
            }
        )
        (bundle.folder / "card.json").write_text(card.model_dump_json(indent=1) + "\n")
        return Bundle.open(bundle.folder)

    def doubts(self, ids: Sequence[Sequence[int]], owners: NDArray[np.int64]) -> NDArray[np.float64]:
        """How much doubt there is of each text, [texts], as log-odds that the model flags it; of the windows that `TextClassifier.tokenise`
        gives. The sum of the weights of its pieces, each counted once, over the root of their number."""
        if not ids:
            return np.zeros(0)
        pieces, counts = distinct(ids, owners)
        sums = np.add.reduceat(self.weights[pieces], np.cumsum(counts) - counts)
        return np.asarray(sums / np.sqrt(counts) + self.terms.intercept)


def refusal(fitted: Mapping[str, float], policy: Policy, labels: Collection[str]) -> str:
    """Why a first model for the review thresholds `fitted` must clear no texts under `policy`, where the model scores `labels`; empty
    where it may."""
    for label, rule in policy.labels.items():
        if label not in labels:
            continue
        if label not in fitted:
            return f"the policy {policy.name} flags {label}, which the first model was not fitted for"
        if rule.review < fitted[label]:
            return f"the policy {policy.name} flags {label} from {rule.review:g} on, and the first model was fitted for {fitted[label]:g}"
    return ""


def distinct(ids: Sequence[Sequence[int]], owners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pieces of all windows of each text, each piece once, text after text; and how many each text has, [texts]."""
    if len(ids) == owners[-1] + 1:
        texts = [*map(set, ids)]
    else:
        texts = [set() for _ in range(int(owners[-1]) + 1)]
        for window, owner in zip(ids, owners.tolist(), strict=True):
            texts[owner].update(window)
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.fromiter(chain.from_iterable(texts), np.int64, int(counts.sum())), counts


class Cascade:
    """Scores as `model` does, but texts that `first` clears get zeros and are not read by it. `tell` is given how many of a batch these
    were. Raises `BundleError` where the two are not of the same word pieces. Safe to call from several threads."""

    def __init__(self, model: TextClassifier, first: First, *, tell: Callable[[int], object] = lambda _: None) -> None:
        if len(first.weights) != model.pieces:
            raise BundleError(f"{FILE}: has {len(first.weights)} weights, the tokenizer {model.pieces} word pieces")
        self.labels = model.labels
        self._model = model
        self._first = first
        self._tell = tell

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Calibrated probabilities of shape [texts, labels]; zeros for a text that is cleared."""
        scores = np.zeros((len(texts), len(self.labels)), np.float32)
        ids, owners = self._model.tokenise(texts)
        left = self._first.doubts(ids, owners) >= self._first.terms.line
        read = np.flatnonzero(left[owners])
        if len(read):
            scores[left] = self._model.score_windows([ids[window] for window in read.tolist()], owners[read])
        self._tell(len(texts) - int(left.sum()))
        return scores
