"""The text classifier: calibrated probabilities of the card's labels, the same for a text alone and in any batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from models import normalise, ragged
from models.bundle import Bundle
from models.calibration import Calibrator
from models.card import Output
from models.encode import Encoder
from models.errors import BundleError
from models.session import open_session
from models.windows import cuts, shortened, traced, windows

CHARS_PER_WINDOW = 600
"""Characters that at most feed one window: more than 126 tokens of ordinary English."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a text is read: windows of `max_tokens` tokens (two of them marks), at most `max_windows` a text; `token_budget` tokens
    run together."""

    max_tokens: int
    max_windows: int
    token_budget: int


class TextClassifier:
    """Scores texts with one onnxruntime session. Safe to call from several threads."""

    def __init__(
        self,
        session: ort.InferenceSession,
        tokenizer: Tokenizer,
        *,
        labels: tuple[str, ...],
        calibrator: Calibrator,
        limits: Limits,
        digest: str,
    ) -> None:
        self.labels = labels
        self.digest = digest
        self._session = session
        self._tokenizer = tokenizer
        self._encoder = Encoder(tokenizer)
        self._calibrator = calibrator
        self.limits = limits
        self._open, self._close = _mark(tokenizer, "[CLS]"), _mark(tokenizer, "[SEP]")

    @classmethod
    def load(
        cls, bundle: Bundle, *, threads: int = 1, graph: bytes | None = None, outputs: tuple[Output, ...] | None = None
    ) -> TextClassifier:
        """The classifier in `bundle`, for `threads` threads, with another `graph` and other `outputs` where they are given. Raises
        `BundleError` when it is for another normaliser or incomplete.

        Sets TOKENIZERS_PARALLELISM=false where it is not set: the tokenizer must not take more threads than it was given."""
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        if (expected := bundle.parameter("normaliser")) != normalise.DIGEST:
            raise BundleError(f"{bundle.folder}: trained for normaliser {expected}, this program has {normalise.DIGEST}")
        limits = Limits(**{name: int(bundle.parameter(name)) for name in ("max_tokens", "max_windows", "token_budget")})
        session = open_session(graph or bundle.model, threads=threads)
        outputs = outputs or bundle.card.outputs
        if (columns := session.get_outputs()[0].shape[1]) != len(outputs):
            raise BundleError(f"{bundle.folder}: the card names {len(outputs)} outputs, model.onnx has {columns}")
        tokenizer = Tokenizer.from_file(str(bundle.file("tokenizer.json")))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        calibrator = Calibrator.of(tuple(output.calibration for output in outputs))
        return cls(
            session, tokenizer, labels=tuple(output.label for output in outputs), calibrator=calibrator, limits=limits, digest=bundle.digest
        )

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Calibrated probabilities of shape [texts, labels], columns in the order of `labels`. Total on any strings.

        Of a long text each label's score is the largest over its windows."""
        return self._calibrator.apply(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What `score` calibrates, of the same shape."""
        return self._logits(*self.tokenise(texts))

    def score_windows(self, ids: Sequence[Sequence[int]], owners: NDArray[np.int64]) -> NDArray[np.float32]:
        """`score` of texts whose windows `tokenise` gave, or of some of them with all of their windows: a row for each, in their order."""
        return self._calibrator.apply(self._logits(ids, owners))

    def _logits(self, ids: Sequence[Sequence[int]], owners: NDArray[np.int64]) -> NDArray[np.float32]:
        if not ids:
            return np.zeros((0, len(self.labels)), np.float32)
        logits = ragged.run(self._session, ids, token_budget=self.limits.token_budget)
        # Windows of a text stand side by side.
        starts = np.flatnonzero(np.diff(owners, prepend=-1))
        return logits if len(starts) == len(ids) else np.maximum.reduceat(logits, starts, axis=0)

    @property
    def pieces(self) -> int:
        """How many word pieces there are: ids are smaller."""
        return 1 + max(self._tokenizer.get_vocab().values())

    def read(self, text: str) -> tuple[normalise.Normalised, Encoding]:
        """`text` as it is read, with the origin of its characters, and its tokens with their offsets, before they are cut to windows."""
        read = traced(text, max_chars=CHARS_PER_WINDOW * self.limits.max_windows, parts=self.limits.max_windows)
        return read, self._tokenizer.encode(read.text, add_special_tokens=False)

    def cut(self, length: int) -> list[range]:
        """The places of the windows that are scored in a text of `length` tokens."""
        return cuts(length, size=self.limits.max_tokens - 2, count=self.limits.max_windows)

    def run(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Logits of shape [windows, labels] of one or more windows of token ids, each put between its marks."""
        marked = [[self._open, *window, self._close] for window in ids]
        return ragged.run(self._session, marked, token_budget=self.limits.token_budget)

    def tokenise(self, texts: Sequence[str]) -> tuple[list[list[int]], NDArray[np.int64]]:
        """Token ids of every window with its marks, and the position of the text that each belongs to."""
        limits = self.limits
        chars = CHARS_PER_WINDOW * limits.max_windows
        read = [shortened(text, max_chars=chars, parts=limits.max_windows) for text in texts]
        ids: list[list[int]] = []
        owners: list[int] = []
        for owner, found in enumerate(self._encoder.encode(read)):
            for window in windows(found, size=limits.max_tokens - 2, count=limits.max_windows):
                ids.append([self._open, *window, self._close])
                owners.append(owner)
        return ids, np.array(owners, np.int64)


def _mark(tokenizer: Tokenizer, name: str) -> int:
    token = tokenizer.token_to_id(name)
    if token is None:
        raise BundleError(f"tokenizer.json has no {name}")
    return int(token)
