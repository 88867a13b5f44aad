"""An agent that keeps a value for each key and flags nothing: what is left is the cost of durable state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from agents.applied import NOTHING, applied, pack
from agents.protocol import Outcome, State, StateKey
from models.entry import Entry
from models.history import History
from schemas.codec import RawRecord
from schemas.labels import Kind
from stream.bench.corpus import transaction_bodies


@lru_cache(maxsize=1)
def values(cards: int = 50) -> tuple[bytes, ...]:
    """Histories of cards after two months: values of the size that the fraud agent stores."""
    pasts: dict[str, History] = {}
    for body in transaction_bodies(cards * 120, cards=cards):
        pasts[body.entity] = pasts.get(body.entity, History()).add(Entry.of(body))
    return tuple(past.to_bytes() for past in pasts.values())


class KeeperAgent:
    """Reads the key's value, and writes another of the same size behind the header of what was applied."""

    kind: Final[Kind] = "transaction"
    topic: Final = "transactions"

    def __init__(self, state: State) -> None:
        self._state = state
        self._values = values()

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:  # noqa: ARG002 (an agent's signature)
        """The new values."""
        writes: dict[StateKey, bytes] = {}
        redelivered = 0
        for raw in records:
            key = StateKey(raw.at.partition, raw.key or b"")
            stored = writes.get(key) or self._state.get(key)
            header = NOTHING if stored is None else applied(stored)
            if header.covers(raw):
                redelivered += 1
            else:
                writes[key] = pack(header.after(raw), self._values[raw.at.offset % len(self._values)])
        return Outcome(state=writes, redelivered=redelivered)
