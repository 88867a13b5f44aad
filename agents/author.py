"""Who says it: the one place where a judgement on an event becomes a flag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agents.decide import Judgement
from agents.identity import flag_id
from schemas.codec import Record
from schemas.flag import EventRef, Flag, Mode, Provenance, Reason, RiskLevel
from schemas.labels import Kind
from schemas.message import Message
from schemas.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """An agent as its flags name it."""

    kind: Kind
    provenance: Provenance
    tier: str
    mode: Mode

    def flag(
        self,
        record: Record[Message] | Record[Transaction],
        judgement: Judgement,
        *,
        entity: str,
        reasons: tuple[Reason, ...],
        at: datetime,
        risk_score: int | None = None,
        risk_level: RiskLevel | None = None,
        not_assessed: tuple[str, ...] = (),
    ) -> Flag:
        """The flag of `judgement`, stamped with `at` (now); `not_assessed` names inputs that the model could not see."""
        body, position = record.body, record.raw.at
        return Flag(
            id=flag_id(
                kind=self.kind, tenant=body.tenant, entity=entity, event_id=body.id, occurred_at=body.occurred_at,
                labels=(label.name for label in judgement.labels), provenance=self.provenance,
            ),
            kind=self.kind,
            event=EventRef(topic=position.topic, partition=position.partition, offset=position.offset, id=body.id),
            entity=entity,
            occurred_at=body.occurred_at,
            flagged_at=at,
            labels=judgement.labels,
            decision=judgement.decision,
            reasons=reasons,
            risk_score=risk_score,
            risk_level=risk_level,
            not_assessed=not_assessed or None,
            tier=self.tier,
            provenance=self.provenance,
            mode=self.mode,
            tenant=body.tenant,
        )
