"""The agent that reads verdicts: those on fraud go to every keeper of terminals, of whom one knows the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from agents.assess import LABEL
from agents.isolation import dead_letter
from agents.protocol import Onward, Outcome
from agents.visits import TOPIC, Ruling, pack_ruling
from models.entry import key64
from models.ledger import POSITIVE
from schemas.codec import Malformed, RawRecord, decode
from schemas.dead_letter import DeadLetter
from schemas.labels import Kind
from schemas.verdict import Verdict


class VerdictAgent:
    """Sends verdicts on to the `partitions` partitions of terminals; holds no state."""

    kind: Final[Kind] = "transaction"
    topic: Final = "verdicts"

    def __init__(self, *, partitions: int) -> None:
        self._partitions = partitions

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """Rulings on transactions; a dead letter for what cannot be read. Verdicts of other labels are others' business."""
        letters: list[DeadLetter] = []
        onward: list[Onward] = []
        for raw in records:
            read = decode(Verdict, raw)
            if isinstance(read, Malformed):
                letters.append(dead_letter(raw, error_class="Malformed", error_text=read.reason, at=at))
            elif read.body.label == LABEL:
                verdict = read.body
                known_ms = int(verdict.occurred_at.timestamp() * 1000)
                value = pack_ruling(Ruling(key64(verdict.event_id), known_ms, verdict.outcome in POSITIVE))
                onward += [Onward(TOPIC, None, value, partition) for partition in range(self._partitions)]
        return Outcome(dead_letters=letters, onward=onward)
