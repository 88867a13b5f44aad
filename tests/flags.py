"""A flag for tests, of which they say only what matters to them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.flag import EventRef, Flag, LabelScore, Provenance

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_flag(number: int = 0, *labels: str, **changed: Any) -> Flag:
    """The flag `flag-<number>` on the event `event-<number>` of one of 49 users, for spam unless said otherwise."""
    fields: dict[str, Any] = {
        "id": f"flag-{number}",
        "kind": "message",
        "event": EventRef(topic="messages", partition=0, offset=number, id=f"event-{number}"),
        "entity": f"user-{number % 49}",
        "occurred_at": NOW,
        "flagged_at": NOW,
        "labels": tuple(LabelScore(name=label, score=0.9, threshold=0.8, severity="low") for label in labels or ("spam",)),
        "decision": "review",
        "tier": "moderation",
        "provenance": Provenance(model="m", policy="p"),
    }
    return Flag(**{**fields, **changed})
