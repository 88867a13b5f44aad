"""An agent with the scores that it saw."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

import numpy as np

from agents.protocol import Outcome, State
from schemas.codec import RawRecord
from stream.replay.judge import Judge
from stream.replay.record import UNSCORED, Micro

Held = TypeVar("Held", bound=State)


class Scoring(Generic[Held]):
    """The agent of `judge` over `state`, which whoever drives it keeps."""

    def __init__(self, judge: Judge, state: Held) -> None:
        self.state = state
        self._width = len(judge.labels)
        self._agent, self._recorder = judge.agent(state)

    def judge(self, records: Sequence[RawRecord], offsets: Sequence[int], *, at: datetime) -> tuple[Outcome, Micro]:
        """What `records` cause, and the scores [offsets, labels] of those that were read, `UNSCORED` where there is a dead letter."""
        outcome = self._agent.handle(records, at=at)
        refused = {letter.offset for letter in outcome.dead_letters}
        scores = np.full((len(offsets), self._width), UNSCORED, np.uint32)
        scores[[offset not in refused for offset in offsets]] = self._recorder.take(self._width)
        return outcome, scores
