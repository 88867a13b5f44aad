"""Deterministic ids: the same event judged by the same model and policy gets the same id, wherever and how often it is judged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

from schemas.codec import Position
from schemas.flag import Provenance
from schemas.labels import Kind


def flag_id(
    *,
    kind: Kind,
    tenant: str | None,
    entity: str,
    event_id: str,
    occurred_at: datetime,
    labels: Iterable[str],
    provenance: Provenance,
) -> str:
    """32 hex digits of SHA-256 over what the flag is about and who says it.

    Entity and time are part of it because event ids come from outside: a sender that reuses an id for another event
    must not make that event's flag look like a duplicate."""
    return _digest(
        kind, tenant or "", entity, event_id, occurred_at.isoformat(), ",".join(sorted(labels)),
        provenance.model, provenance.policy,
    )


def dead_letter_id(at: Position, *, sink: str | None = None) -> str:
    """32 hex digits of SHA-256 over the record's position and, where one of several sinks did not take it, that sink."""
    return _digest("dead-letter", at.topic, str(at.partition), str(at.offset), *(() if sink is None else (sink,)))


def verdict_id(*, event_id: str, flag_id: str | None, label: str, outcome: str, source: str, at: datetime) -> str:
    """32 hex digits of SHA-256 over all that is said: who says the same of the same moment again says the same verdict."""
    return _digest("verdict", event_id, flag_id or "", label, outcome, source, at.astimezone(UTC).isoformat())


def _digest(*parts: str) -> str:
    # Lengths keep the parts apart: ("ab", "c") and ("a", "bc") must differ.
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]
