"""The moderation agent: messages in, flags for abusive, dangerous and deceiving ones out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.author import Author
from agents.decide import Judgement, decide
from agents.isolation import dead_letter, isolate
from agents.protocol import Outcome
from schemas.codec import Malformed, RawRecord, Record, decode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag, Mode, Provenance, Reason
from schemas.labels import Kind
from schemas.message import Message
from schemas.policy import Policy


class TextScorer(Protocol):
    """A text classifier as the agent needs it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it scores, in the order of its columns."""
        ...

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Calibrated probabilities, shape [texts, labels]."""
        ...


Spans = Mapping[str, tuple[int, int]]
"""The [start, end) of characters of a text that drove a label, by label."""


class Explainer(Protocol):
    """Finds what in texts their labels are about. A function of each text and its labels alone, whatever the time it takes."""

    def __call__(self, flagged: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Spans]:
        """For each text with its labels the spans of those labels that a part of it drove."""
        ...


class ModerationAgent:
    """Judges messages; holds no state. Only flagged messages are shown to `explain`."""

    kind: Final[Kind] = "message"
    topic: Final = "messages"

    def __init__(
        self,
        model: TextScorer,
        policy: Policy,
        provenance: Provenance,
        *,
        tier: str,
        mode: Mode = "live",
        explain: Explainer | None = None,
    ) -> None:
        self._model = model
        self._policy = policy
        self._author = Author(kind=self.kind, provenance=provenance, tier=tier, mode=mode)
        self._explain = explain
        # Texts below every threshold are the great majority: one comparison of the matrix finds the rest.
        # A hair below, because a score is rounded before it is compared exactly.
        self._nearly = np.array(
            [policy.labels[label].review - 1e-5 if label in policy.labels else 2.0 for label in model.labels], dtype=np.float32
        )

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What `records` cause: a flag for each message that reaches a threshold, a dead letter for each fault."""
        letters: list[DeadLetter] = []
        messages: list[Record[Message]] = []
        for raw in records:
            read = decode(Message, raw)
            if isinstance(read, Malformed):
                letters.append(dead_letter(raw, error_class="Malformed", error_text=read.reason, at=at))
            else:
                messages.append(read)
        judged: list[tuple[Record[Message], Judgement]] = []
        rows = isolate(self._rows, messages)
        for record, row in zip(messages, rows, strict=True):
            if isinstance(row, Exception):
                # The class only: an exception's text may quote the message.
                letters.append(dead_letter(record.raw, error_class=type(row).__name__, error_text="cannot be scored", at=at))
            elif not np.isfinite(row).all():
                letters.append(dead_letter(record.raw, error_class="NotFinite", error_text="the score is not a number", at=at))
            elif (row >= self._nearly).any():
                judgement = decide(self._scores(row), self._policy)
                if judgement.labels:
                    judged.append((record, judgement))
        spans = isolate(self._spans, judged)
        return Outcome([self._flag(*one, found, at) for one, found in zip(judged, spans, strict=True)], letters)

    def _rows(self, messages: Sequence[Record[Message]]) -> list[NDArray[np.float32]]:
        return list(self._model.score([one.body.text for one in messages]))

    def _scores(self, row: NDArray[np.float32]) -> dict[str, float]:
        return {label: round(score, 6) for label, score in zip(self._model.labels, row.tolist(), strict=True)}

    def _flag(self, record: Record[Message], judgement: Judgement, found: Spans | Exception, at: datetime) -> Flag:
        # A flag without a span is worth more than no flag.
        spans = {} if isinstance(found, Exception) else found
        reasons = tuple(
            Reason(
                code=f"message.{label.name}",
                text=f"{label.name.replace('_', ' ')} {label.score:.2f}, threshold {label.threshold:.2f}",
                span=spans.get(label.name),
            )
            for label in judgement.labels
        )
        return self._author.flag(record, judgement, entity=record.body.user_id, reasons=reasons, at=at)

    def _spans(self, judged: Sequence[tuple[Record[Message], Judgement]]) -> Sequence[Spans]:
        if self._explain is None:
            return [{}] * len(judged)
        spans = self._explain([(record.body.text, [label.name for label in judgement.labels]) for record, judgement in judged])
        if len(spans) != len(judged):
            raise ValueError(f"{len(spans)} explanations of {len(judged)} texts")
        return spans
