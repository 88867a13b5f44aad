"""Pauses between attempts."""

from __future__ import annotations

import random
from collections.abc import Iterator


def pauses(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds to wait before each further attempt, without end: exponential with full jitter (Brooker 2015), so that what failed
    together does not come back together."""
    ceiling_s = first_s
    while True:
        yield random.uniform(0.0, min(ceiling_s, longest_s))
        ceiling_s = min(ceiling_s * 2, longest_s)
