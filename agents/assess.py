"""From a row of features to a flag: what the agents that judge transactions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from agents.author import Author
from agents.decide import Judgement, decide, risk_level, risk_score
from agents.isolation import isolate
from agents.visits import Visit
from models.features import Vector
from schemas.codec import Record
from schemas.flag import Flag, Mode, Provenance, Reason
from schemas.labels import Kind
from schemas.policy import Policy
from schemas.transaction import Transaction

LABEL = "fraud"
KIND: Final[Kind] = "transaction"
TERMINAL: Final = "terminal"
"""The name of the terminal's side among a flag's inputs that were not assessed."""


class TransactionScorer(Protocol):
    """A fraud classifier as the agents need it."""

    @property
    def features(self) -> Sequence[str]:
        """The names of the features of a row, in order."""
        ...

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A transaction to be judged with its features; `not_assessed` names inputs that are not in them."""

    event: Record[Transaction] | Visit
    row: Sequence[float]
    not_assessed: tuple[str, ...] = ()


class Assessor:
    """A model under a policy."""

    def __init__(self, model: TransactionScorer, policy: Policy, provenance: Provenance, *, tier: str, mode: Mode = "live") -> None:
        self._model = model
        self._policy = policy
        self._author = Author(kind=KIND, provenance=provenance, tier=tier, mode=mode)

    def assess(self, cases: Sequence[Case], *, at: datetime) -> list[Flag | Exception | None]:
        """For each case its flag, None where it reaches no threshold, or why it could not be scored. A case's answer does not depend
        on the others."""
        found: list[Flag | Exception | None] = []
        for case, score in zip(cases, isolate(self._score, cases), strict=True):
            if isinstance(score, Exception):
                found.append(score)
                continue
            judgement = decide({LABEL: score}, self._policy)
            found.append(self._flag(case, score, judgement, at) if judgement.labels else None)
        return found

    def _score(self, cases: Sequence[Case]) -> list[float]:
        scores = self._model.score(np.array([case.row for case in cases], dtype=np.float32))
        if not np.isfinite(scores).all():
            raise ArithmeticError("the score is not a number")
        return [round(score, 6) for score in scores.tolist()]

    def _flag(self, case: Case, score: float, judgement: Judgement, at: datetime) -> Flag:
        risk = risk_score(score)
        record = case.event.record() if isinstance(case.event, Visit) else case.event
        return self._author.flag(
            record, judgement, entity=record.body.entity, reasons=self._model.reasons(case.row), at=at,
            risk_score=risk, risk_level=risk_level(risk, self._policy.risk), not_assessed=case.not_assessed,
        )
