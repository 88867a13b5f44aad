"""The handbook's own fifteen features, for the baselines of its table (chapter 3.4 of the Fraud Detection Handbook).

Written for arrays rather than for a stream: a window is a difference of running sums. Windows include the transaction itself,
and a terminal's risk looks back from `DELAY` days before it, as published."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.train.fraud_table import DAY_MS

DELAY_MS = 7 * DAY_MS
WINDOWS_DAYS = (1, 7, 30)


def handbook_features(frame: pd.DataFrame) -> NDArray[np.float32]:
    """[n, 15]: amount, weekend, night; count and mean amount of the card, count and risk of the terminal over 1, 7 and 30 days.

    `frame` as `fraud_table.read` gives it, in time order."""
    times = frame["at_ms"].to_numpy(np.int64)
    amounts, fraud = frame["amount"].to_numpy(np.float64) / 100, frame["fraud"].to_numpy(np.float64)
    moments = pd.to_datetime(times, unit="ms")
    columns = [amounts, moments.weekday.to_numpy() >= 5, moments.hour.to_numpy() <= 6]
    cards = _Groups(pd.factorize(frame["account"])[0], times)
    places = _Groups(pd.factorize(frame["place"])[0], times)
    for days in WINDOWS_DAYS:
        count = cards.window(np.ones_like(amounts), days * DAY_MS, 0)
        columns += [count, cards.window(amounts, days * DAY_MS, 0) / count]
    for days in WINDOWS_DAYS:
        count = places.window(np.ones_like(amounts), days * DAY_MS, DELAY_MS)
        risk = places.window(fraud, days * DAY_MS, DELAY_MS) / np.maximum(count, 1)
        columns += [count, risk]
    return np.column_stack(columns).astype(np.float32)


class _Groups:
    """Rows sorted by group and time, so that any window of a group is a stretch."""

    def __init__(self, groups: NDArray[np.intp], times: NDArray[np.int64]) -> None:
        self._order = np.lexsort((np.arange(len(times)), times, groups))
        # One axis for all groups: far enough apart that no window reaches from one into the next.
        self._axis = groups[self._order].astype(np.int64) * (1 << 44) + times[self._order]

    def window(self, values: NDArray[np.float64], length_ms: int, delay_ms: int) -> NDArray[np.float64]:
        """For each row, in its own place: the sum of `values` of its group with time in (t - delay - length, t - delay]."""
        running = np.concatenate([[0.0], np.cumsum(values[self._order])])
        end = np.searchsorted(self._axis, self._axis - delay_ms, side="right")
        start = np.searchsorted(self._axis, self._axis - delay_ms - length_ms, side="right")
        found = np.empty_like(running[1:])
        found[self._order] = running[end] - running[start]
        return found
