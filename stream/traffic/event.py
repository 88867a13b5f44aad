"""What the generator yields: an event as it goes to a topic, and what is true of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["benign", "hard_negative", "harm", "legitimate", "fraud", "malformed", "verdict"]
"""Messages are `benign`, `hard_negative` (reads like harm and is none) or `harm`; payments `legitimate` or `fraud`."""

Disguise = Literal["leet", "spaced", "zero_width"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What an event is. `labels` are the names of `schemas.labels` that hold for it; `detail` names the corpus of a
    message, the scheme of a fraud or the fault of a malformed record; `disguise` says how a message hides its words."""

    kind: Kind
    detail: str
    labels: tuple[str, ...] = ()
    disguise: Disguise | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A record for `topic`, to be sent `due_s` seconds after the live part begins; one of the `warmup` is history, sent
    before it (`due_s` is 0). The truth never crosses the topic."""

    topic: str
    key: bytes
    value: bytes
    occurred_at: datetime
    due_s: float
    warmup: bool
    truth: Truth


def tag(seed: int) -> str:
    """Six hex characters that stand for `seed` in ids, so that the events of two seeds do not share ids."""
    return hashlib.sha256(f"flagstream traffic {seed}".encode()).hexdigest()[:6]
