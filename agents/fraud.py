"""The fraud agent: transactions in, flags for those that do not look like their card's holder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.applied import HEADER_BYTES, NOTHING, applied, pack
from agents.author import Author
from agents.decide import Judgement, decide, risk_level, risk_score
from agents.isolation import dead_letter, isolate
from agents.protocol import Outcome, State, StateKey
from models.entry import Entry
from models.errors import HistoryError
from models.features import Vector
from models.history import EMPTY, History
from schemas.codec import Malformed, RawRecord, Record, decode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag, Mode, Provenance, Reason
from schemas.labels import Kind
from schemas.policy import Policy
from schemas.transaction import Transaction

LABEL = "fraud"
CLOCK_SKEW_MS = 24 * 60 * 60 * 1000
"""How far a transaction may lie ahead of its own record. A history keeps so many transactions: future ones would fill it."""


class TransactionScorer(Protocol):
    """A fraud classifier as the agent needs it."""

    @property
    def vector(self) -> Vector:
        """Features of (history, transaction, terminal), in the order that `score` wants."""
        ...

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Calibrated probabilities of fraud, shape [rows]; a row is what `vector` gives."""
        ...

    def reasons(self, row: Sequence[float]) -> tuple[Reason, ...]:
        """What about the transaction is unlike its card's past, the most telling first."""
        ...


@dataclass(frozen=True, slots=True)
class _Case:
    """A transaction with the features of what was known of its card just before it."""

    record: Record[Transaction]
    row: list[float]


class FraudAgent:
    """Judges transactions. Its state is the history of each card or account, under the key that its transactions share."""

    kind: Final[Kind] = "transaction"
    topic: Final = "transactions"

    def __init__(
        self, model: TransactionScorer, policy: Policy, state: State, provenance: Provenance, *, tier: str, mode: Mode = "live"
    ) -> None:
        self._model = model
        self._policy = policy
        self._state = state
        self._author = Author(kind=self.kind, provenance=provenance, tier=tier, mode=mode)

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What `records` cause: a flag for each transaction that reaches a threshold, its card's new history, a dead letter
        for each fault."""
        letters: list[DeadLetter] = []
        writes: dict[StateKey, bytes] = {}
        cases: list[_Case] = []
        redelivered = 0
        for raw in records:
            read = decode(Transaction, raw)
            if isinstance(read, Malformed):
                letters.append(dead_letter(raw, error_class="Malformed", error_text=read.reason, at=at))
                continue
            if (late := _ahead_of_its_record(read)) is not None:
                letters.append(dead_letter(raw, error_class="FromTheFuture", error_text=late, at=at))
                continue
            case = self._remember(read, writes)
            if case is None:
                redelivered += 1
            else:
                cases.append(case)
        flags: list[Flag] = []
        for case, score in zip(cases, isolate(self._score, cases), strict=True):
            if isinstance(score, Exception):
                raw = case.record.raw
                letters.append(dead_letter(raw, error_class=type(score).__name__, error_text="cannot be scored", at=at))
                continue
            judgement = decide({LABEL: score}, self._policy)
            if judgement.labels:
                flags.append(self._flag(case, score, judgement, at))
        return Outcome(flags, letters, writes, redelivered)

    def _remember(self, record: Record[Transaction], writes: dict[StateKey, bytes]) -> _Case | None:
        """The case of `record`, with its card's history moved on in `writes`. None when that was done before: a history is
        stored only after the flags of its records were acknowledged, and to judge the record again, with a history that
        is ahead of it, could give flags that nobody else would."""
        body, raw = record.body, record.raw
        # The record's key decides its partition, so the state of one entity lives in one place whatever the payload says.
        owner = body.entity if body.tenant is None else f"{body.tenant}\x1f{body.entity}"
        key = StateKey(raw.at.partition, owner.encode())
        stored = writes.get(key) or self._state.get(key)
        header, history = NOTHING, EMPTY
        if stored is not None:
            try:
                header, history = applied(stored), History.from_bytes(stored[HEADER_BYTES:])
            except HistoryError:
                # Written by a version that this one cannot read: the card starts anew, which its features show.
                header, history = NOTHING, EMPTY
        if header.covers(raw):
            return None
        entry = Entry.of(body)
        case = _Case(record, self._model.vector(history, entry, None))
        writes[key] = pack(header.after(raw), history.add(entry).to_bytes())
        return case

    def _score(self, cases: Sequence[_Case]) -> list[float]:
        scores = self._model.score(np.array([case.row for case in cases], dtype=np.float32))
        if not np.isfinite(scores).all():
            raise ArithmeticError("the score is not a number")
        return [round(score, 6) for score in scores.tolist()]

    def _flag(self, case: _Case, score: float, judgement: Judgement, at: datetime) -> Flag:
        risk = risk_score(score)
        return self._author.flag(
            case.record, judgement, entity=case.record.body.entity, reasons=self._model.reasons(case.row), at=at,
            risk_score=risk, risk_level=risk_level(risk, self._policy.risk),
        )


def _ahead_of_its_record(record: Record[Transaction]) -> str | None:
    """What is wrong with the time of a transaction that lies after its record; None when nothing is."""
    timestamp_ms = record.raw.timestamp_ms
    if timestamp_ms > 0 and record.body.occurred_at.timestamp() * 1000 > timestamp_ms + CLOCK_SKEW_MS:
        return "occurred_at lies more than a day after the time of its record"
    return None
