"""The features of the terminal's (merchant's, payee's) side: as of the last closed hour, with rulings as they became known.

Fraud becomes known late. A transaction counts as *ripe* when it is known as fraud, or when it is older than `DELAY_MS`
and nothing was heard: then it was legitimate, as far as anybody knows. All are NaN when the terminal is not known."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

from models.history import DAY_MS, HOUR_MS, History
from models.terminal import closed_hour
from models.view import DELAY_MS, MONTH_MS, NAN, WEEK_MS, View


def _within(history: History, since_ms: int, until_ms: int) -> int:
    """Events with since < time <= until: exact among the kept, beyond them by the middle of hours and days."""
    times = history.times
    if not times:
        return 0
    count = bisect_right(times, until_ms) - bisect_right(times, since_ms)
    if history.past_count and since_ms < times[0]:
        for buckets, size in ((history.hours, HOUR_MS), (history.days, DAY_MS)):
            indices = buckets[::3]
            first = bisect_left(indices, (since_ms + size // 2) // size)
            last = bisect_left(indices, (until_ms + size // 2) // size)
            count += sum(buckets[3 * first + 1 : 3 * last : 3])
    return count


def _count(view: View, length_ms: int) -> float:
    if view.terminal is None:
        return NAN
    until = closed_hour(view.entry.at_ms)
    return float(_within(view.terminal.past, until - length_ms, until))


def _frauds(view: View, length_ms: int) -> float:
    if view.terminal is None:
        return NAN
    until = closed_hour(view.entry.at_ms)
    return float(_within(view.terminal.frauds, until - length_ms, until))


def _risk(view: View, length_ms: int) -> float:
    if view.terminal is None:
        return NAN
    until = closed_hour(view.entry.at_ms)
    frauds = _within(view.terminal.frauds, until - length_ms, until)
    ripe = _within(view.terminal.past, until - DELAY_MS - length_ms, until - DELAY_MS)
    return frauds / max(ripe, frauds) if ripe or frauds else NAN


def terminal_count_1d(view: View) -> float:
    """Transactions at the terminal in the day before the last closed hour."""
    return _count(view, DAY_MS)


def terminal_count_7d(view: View) -> float:
    """Transactions at the terminal in the 7 days before the last closed hour."""
    return _count(view, WEEK_MS)


def terminal_count_30d(view: View) -> float:
    """Transactions at the terminal in the 30 days before the last closed hour."""
    return _count(view, MONTH_MS)


def terminal_frauds_1d(view: View) -> float:
    """Frauds at the terminal that became known in the last day."""
    return _frauds(view, DAY_MS)


def terminal_frauds_7d(view: View) -> float:
    """Frauds at the terminal that became known in the last 7 days."""
    return _frauds(view, WEEK_MS)


def terminal_frauds_30d(view: View) -> float:
    """Frauds at the terminal that became known in the last 30 days."""
    return _frauds(view, MONTH_MS)


def terminal_risk_1d(view: View) -> float:
    """Frauds known in the last day / transactions of the day that ended `DELAY_MS` ago; NaN where both are none."""
    return _risk(view, DAY_MS)


def terminal_risk_7d(view: View) -> float:
    """Frauds known in the last 7 days / transactions of the 7 days that ended `DELAY_MS` ago; NaN where both are none."""
    return _risk(view, WEEK_MS)


def terminal_risk_30d(view: View) -> float:
    """Frauds known in the last 30 days / transactions of the 30 days that ended `DELAY_MS` ago; NaN where both are none."""
    return _risk(view, MONTH_MS)


def terminal_fraud_share_3(view: View) -> float:
    """Share of frauds among the 3 newest ripe transactions; NaN without any."""
    return _share(view, 3)


def terminal_fraud_share_10(view: View) -> float:
    """Share of frauds among the 10 newest ripe transactions; NaN without any."""
    return _share(view, 10)


def _share(view: View, size: int) -> float:
    if view.spotless:
        return 0.0 if view.any_ripe else NAN
    newest = view.ripe[:size]
    return sum([each[1] for each in newest]) / len(newest) if newest else NAN


def terminal_streak(view: View) -> float:
    """Length of the unbroken run of frauds at the end of the ripe transactions; NaN without any ripe."""
    return float(len(view.streak)) if view.any_ripe else NAN


def terminal_streak_days(view: View) -> float:
    """Age in days of the first fraud of that run; NaN without a run."""
    return view.streak[-1][0] / DAY_MS if view.streak else NAN


def terminal_streak_gap_days(view: View) -> float:
    """Age in days of the last ripe legitimate transaction before that run; NaN without a run, or if nothing kept precedes it."""
    return view.ripe[len(view.streak)][0] / DAY_MS if view.streak and len(view.ripe) > len(view.streak) else NAN


def terminal_streak_amount(view: View) -> float:
    """Smallest amount in that run, in hundreds of minor units; NaN without a run."""
    return min(amount for _, _, amount, _ in view.streak) / 100 if view.streak else NAN


def terminal_streak_odd(view: View) -> float:
    """Smallest amount / its card's usual in that run: frauds that only the terminal explains keep it near 1; NaN if not known."""
    known = [odd for _, _, _, odd in view.streak if odd == odd]
    return min(known) if known else NAN


def terminal_plain_frauds(view: View) -> float:
    """Kept ripe frauds of an amount below 2.5 times their card's usual; NaN without any ripe."""
    if view.spotless:
        return 0.0 if view.any_ripe else NAN
    return float(sum([fraud and odd < 2.5 for _, fraud, _, odd in view.ripe])) if view.ripe else NAN


def terminal_days_since_fraud(view: View) -> float:
    """Age in days of the newest ripe fraud; NaN without one."""
    return NAN if view.spotless else next((age / DAY_MS for age, fraud, _, _ in view.ripe if fraud), NAN)


def terminal_legit_since_fraud(view: View) -> float:
    """Ripe legitimate transactions since the newest ripe fraud; NaN without a fraud."""
    return NAN if view.spotless else next((float(place) for place, each in enumerate(view.ripe) if each[1]), NAN)


TERMINAL_FEATURES: tuple[Callable[[View], float], ...] = (
    terminal_count_1d, terminal_count_7d, terminal_count_30d,
    terminal_frauds_1d, terminal_frauds_7d, terminal_frauds_30d,
    terminal_risk_1d, terminal_risk_7d, terminal_risk_30d,
    terminal_fraud_share_3, terminal_fraud_share_10,
    terminal_streak, terminal_streak_days, terminal_streak_gap_days, terminal_streak_amount, terminal_streak_odd, terminal_plain_frauds,
    terminal_days_since_fraud, terminal_legit_since_fraud,
)
