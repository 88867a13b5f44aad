"""A worker's share of a replay: the live agent over the records of the run's range, with the score of every event as a result."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby

import numpy as np

from agents.applied import applied
from agents.protocol import Onward, Outcome, State, StateKey
from models.entry import key64
from schemas.base import Contract
from schemas.codec import RawRecord, Record, decode, encode
from schemas.labels import Kind
from schemas.message import Message
from schemas.transaction import Transaction
from stream.replay.ages import UNKNOWN, owner
from stream.replay.judge import Judge
from stream.replay.part import CONTRACT
from stream.replay.plan import ROWS
from stream.replay.rows import rows_of
from stream.replay.scoring import Scoring
from stream.replay.segments import Segments
from stream.replay.slices import SEEN, Slice
from stream.replay.source import Part


class Share:
    """Judges what of its records lies in `parts`, and leaves the rest alone; what comes before a part's counted offsets only
    rebuilds the state. Every flag is stamped `at`, so that a repetition gives the same bytes."""

    def __init__(self, judge: Judge, state: State | None, *, kind: Kind, topic: str, parts: Sequence[Part], at: datetime) -> None:
        self.kind = kind
        self.topic = topic
        self._state: State = {} if state is None else state
        self._scoring = Scoring(judge, self._state)
        self._parts = {part.number: part for part in parts}
        self._at = at
        self._contract: type[Contract] = CONTRACT[kind]

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:  # noqa: ARG002 (a replay's flags are of its beginning)
        """What `records` cause, and a slice of results for each part."""
        whole = Outcome()
        for number, many in groupby(sorted(records, key=_part), key=_part):
            part = self._parts.get(number)
            found = [raw for raw in many if part is not None and part.start <= raw.at.offset < part.end]
            if part is not None and found:
                whole = _joined(whole, self._judge(part, found))
        return whole

    def _judge(self, part: Part, records: list[RawRecord]) -> Outcome:
        began_s = time.thread_time()
        read = {raw.at.offset: decode(self._contract, raw) for raw in records}
        bodies = {offset: one.body for offset, one in read.items() if isinstance(one, Record)}
        # Applied before: their results were acknowledged before their state was stored.
        fresh = [raw for raw in records if not self._covered(raw, bodies.get(raw.at.offset))]
        events: list[tuple[int, Message | Transaction]] = [
            (raw.at.offset, body) for raw in fresh if isinstance(body := bodies.get(raw.at.offset), Message | Transaction)
        ]
        outcome, scores = self._scoring.judge(fresh, [offset for offset, _ in events], at=self._at)
        counted = np.array([offset >= part.counted for offset, _ in events], np.bool_)
        names = Segments()
        kept = [event for event in events if event[0] >= part.counted]
        rows = rows_of(kept, scores[counted], np.zeros((len(kept), 0), np.uint32), names, [UNKNOWN] * len(kept))
        seen = np.array([
            (offset, key64(owner(body).decode("utf-8", "surrogatepass")), int(body.occurred_at.timestamp() * 1000))
            for offset, body in events if isinstance(body, Transaction)
        ], SEEN)
        flags = [flag for flag in outcome.flags if flag.event.offset >= part.counted]
        letters = [letter for letter in outcome.dead_letters if letter.offset >= part.counted]
        result = Slice(
            offsets=np.array([raw.at.offset for raw in fresh], np.int64), seen=seen, rows=rows, names=names.names,
            faults=[(letter.offset, f"{letter.error_class}: {letter.error_text}") for letter in letters],
            flags=[(flag.event.offset, encode(flag)) for flag in flags], cpu_s=time.thread_time() - began_s,
            currencies=[body.currency for _, body in kept if isinstance(body, Transaction)],
        )
        onward = [Onward(ROWS, None, result.to_bytes(), part.number)] if fresh else []
        return Outcome(flags, letters, outcome.state, outcome.redelivered + len(records) - len(fresh), onward)

    def _covered(self, raw: RawRecord, body: Contract | None) -> bool:
        if not isinstance(body, Transaction):
            return False
        stored = self._state.get(StateKey(raw.at.partition, body.owner.encode()))
        return stored is not None and applied(stored).covers(raw)


def _part(raw: RawRecord) -> int:
    return raw.at.partition


def _joined(one: Outcome, other: Outcome) -> Outcome:
    state: Mapping[StateKey, bytes] = {**one.state, **other.state}
    return Outcome(
        [*one.flags, *other.flags], [*one.dead_letters, *other.dead_letters], state, one.redelivered + other.redelivered,
        [*one.onward, *other.onward],
    )
