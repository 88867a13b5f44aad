"""What the return on a replay is reckoned with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Assumptions, in one currency; state your own. `call` and `call_ms` are price and latency of one call of an alternative (a
    hosted API, a language model)."""

    core_hour: float = 0.04
    review: float = 0.50
    call: float = 0.0005
    call_ms: float = 600.0
