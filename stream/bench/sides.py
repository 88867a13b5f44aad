"""The agents of cards and of terminals one after the other in one process, as two workers of a stream would be."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from agents.board import Inputs
from agents.protocol import Onward, StateKey
from agents.verdicts import VerdictAgent
from agents.visits import TOPIC
from models.bundle import Bundle
from models.fraud import FraudClassifier
from schemas.codec import Position, RawRecord, encode
from schemas.policy import Policy
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream import load
from stream.settings import Settings

VISIT_BATCH = 128
"""The worker's."""


class TwoSides:
    """Both agents with their states in dicts; `terminal_cpu_s` is what the second took so far."""

    def __init__(self, *, settings: Settings, policy: Policy, bundle: Bundle, model: FraudClassifier) -> None:
        self.cards: dict[StateKey, bytes] = {}
        self.terminals: dict[StateKey, bytes] = {}
        self.terminal_cpu_s = 0.0
        self._first = load.fraud_agent(bundle, model, policy, self.cards, terminals=1)
        # No other partition is there to be waited for.
        self._second = load.terminal_agent(bundle, model, policy, self.terminals, inputs=Inputs(0, 0), wait_s=settings.terminal_wait_s)
        self._sent = 0

    def rule(self, tx: Transaction) -> None:
        """Let there be a verdict, known a day before `tx`, from which on terminals are known."""
        known = tx.occurred_at - timedelta(days=1)
        verdict = Verdict(id="v", event_id="-", label="fraud", outcome="fraud", source="bench", occurred_at=known)
        raw = RawRecord(Position("verdicts", 0, 0), None, encode(verdict), 0)
        self._hand_over(VerdictAgent(partitions=1).handle([raw], at=datetime.now(UTC)).onward)

    def handle(self, raws: Sequence[RawRecord]) -> int:
        """Judge a batch; the number of flags."""
        outcome = self._first.handle(raws, at=datetime.now(UTC))
        self.cards.update(outcome.state)
        return len(outcome.flags) + self._hand_over([*outcome.onward, *outcome.closing])

    def _hand_over(self, many: Sequence[Onward]) -> int:
        flags, began_s = 0, time.process_time()
        for start in range(0, len(many), VISIT_BATCH):
            batch = []
            for one in many[start : start + VISIT_BATCH]:
                batch.append(RawRecord(Position(TOPIC, 0, self._sent), one.key, one.value, 0))
                self._sent += 1
            outcome = self._second.handle(batch, at=datetime.now(UTC))
            self.terminals.update(outcome.state)
            flags += len(outcome.flags)
        self.terminal_cpu_s += time.process_time() - began_s
        return flags
