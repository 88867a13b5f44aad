"""What became of one attempt to hand a flag to a sink."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.dead_letter import Response


@dataclass(frozen=True, slots=True)
class Delivered:
    """The sink has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It may succeed later, not before `after_s` if the endpoint said so. Told to wait, it does not count as an attempt (`counts`)."""

    reason: str
    response: Response | None = None
    after_s: float | None = None
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It will not succeed, however often it is tried."""

    reason: str
    response: Response | None = None


Answer = Delivered | Again | Refused
