"""What to expect of the days to come, from the days that were: a ratio of sums with a prediction interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HORIZON_DAYS = 7.0
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
LEAST_UNITS = 3
_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
"""97.5 % quantiles of Student's t by degrees of freedom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A figure on the data it was fitted on, and where it should fall over the next `HORIZON_DAYS` with 95 % probability, if the
    days to come are like those seen; None where they were too few to say."""

    name: str
    value: float
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"value": round(self.value, 6), "interval": self.interval and [round(end, 6) for end in self.interval]}

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.name} {_told(self.value)} (too little time seen for an interval)"
        return f"{self.name} {_told(self.value)}, expected {_told(self.interval[0])} to {_told(self.interval[1])}"


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Units:
    """A stretch of time cut into whole days, or into whole hours where it is short; the last, partial one is left out of intervals."""

    first_ms: int
    unit_ms: int
    count: int
    days: float

    @classmethod
    def over(cls, span: tuple[int, int] | None) -> Units:
        """The units of a span, of an hour where there is none."""
        return cls.of(*(span or (0, 0)))

    @classmethod
    def of(cls, first_ms: int, last_ms: int) -> Units:
        """The units from the first event to the last."""
        span_ms = max(last_ms - first_ms, 0)
        unit_ms = DAY_MS if span_ms >= (LEAST_UNITS - 0.1) * DAY_MS else HOUR_MS
        # A week of data ends a little before the week does.
        count = int(span_ms / unit_ms + 0.1)
        return cls(first_ms, unit_ms, count, max(span_ms, HOUR_MS) / DAY_MS)

    @property
    def seen_days(self) -> float:
        """Days that figures a day are over: whole ones where the data ends a little before the last does, an hour at the least."""
        return max(self.days, self.count * self.unit_ms / DAY_MS)

    @property
    def slots(self) -> int:
        """Units with the partial one."""
        return self.count + 2

    def place(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """The unit of each moment."""
        return np.minimum((at_ms - self.first_ms) // self.unit_ms, self.slots - 1)


def ratio(
    name: str, above: NDArray[np.float64], below: NDArray[np.float64], units: Units, *, share: bool = False, one: float = 1.0
) -> Expectation:
    """Sum of `above` over sum of `below`, both by unit, with the delta method's prediction interval. `share` is for a ratio that
    cannot exceed 1; `one` is what a single event adds to `above`."""
    total = float(below.sum())
    value = float(above.sum()) / total if total else 0.0
    n = units.count
    mean_below = float(below[:n].mean()) if n else 0.0
    if n < LEAST_UNITS or not mean_below:
        return Expectation(name=name, value=value, interval=None)
    seen, mean_above = value, float(above[:n].mean())
    spread = float(((above[:n] - seen * below[:n]) ** 2).sum() / (n - 1))
    # Counts cannot vary less than chance makes them.
    spread = max(spread, (mean_above * (1 - seen) if share else mean_above) * one)
    # What was never seen, or always, may be so by chance: one event in all that time would not surprise.
    spread = max(spread, one * one / n)
    ahead = max(1.0, HORIZON_DAYS * DAY_MS / units.unit_ms)
    t = _T975[n - 2] if n - 2 < len(_T975) else 1.96
    reach = t * math.sqrt(spread * (1 / n + 1 / ahead)) / mean_below
    return Expectation(name=name, value=value, interval=(max(0.0, value - reach), min(1.0, value + reach) if share else value + reach))
