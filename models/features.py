"""The features of a transaction: one function each, used by training and serving alike.

A feature sees a `View`: the transaction and what its card and terminal had done before it. It is NaN where the answer is
not known (no history kept, no terminal named, another currency), never a zero that looks like an answer. Amounts are
in minor units of the transaction's currency unless a name says otherwise. To add a feature, write its function with its
formula, put it into `FEATURES` and add a row to its test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from models.entry import Entry
from models.errors import BundleError
from models.history import DAY_MS, HOUR_MS, History
from models.terminal import Terminal
from models.terminal_features import TERMINAL_FEATURES
from models.view import NAN, WEEK_MS, View

Feature = Callable[[View], float]


class Vector(Protocol):
    """A row of features of a transaction, given its card's past (None: not known) and its terminal's (None: not known)."""

    def __call__(self, history: History | None, entry: Entry, terminal: Terminal | None = None) -> list[float]:
        """One value a feature, in the order of the names that the vector was made of."""
        ...


# The transaction alone


def amount(view: View) -> float:
    """The amount in hundreds of minor units (euros, dollars)."""
    return view.entry.amount_minor / 100


def hour_of_day(view: View) -> float:
    """Hours since midnight UTC, 0 to 24."""
    return view.entry.at_ms % DAY_MS / HOUR_MS


def weekend(view: View) -> float:
    """1 on Saturday and Sunday (UTC), else 0."""
    # 1970-01-01 was a Thursday.
    return 1.0 if (view.entry.at_ms // DAY_MS + 3) % 7 >= 5 else 0.0


# The card's pace


def card_count_10m(view: View) -> float:
    """Transactions of the card in the 10 minutes before."""
    return view.count(600_000)


def card_count_1h(view: View) -> float:
    """Transactions of the card in the hour before."""
    return view.count(HOUR_MS)


def card_count_1d(view: View) -> float:
    """Transactions of the card in the 24 hours before."""
    return view.count(DAY_MS)


def card_count_7d(view: View) -> float:
    """Transactions of the card in the 7 days before."""
    return view.count(WEEK_MS)


def card_count_30d(view: View) -> float:
    """Transactions of the card in the 30 days before."""
    return view.count_30d


def card_per_day(view: View) -> float:
    """The card's usual pace: count of 30 days / min(30, days since its first transaction); NaN below one day."""
    history, at = view.history, view.entry.at_ms
    if history is None or not history.times or at - history.first_ms < DAY_MS:
        return NAN
    return view.count_30d / min(30.0, (at - history.first_ms) / DAY_MS)


def card_pace_ratio(view: View) -> float:
    """(count of 1 day + 1) / (usual count a day + 1): near 1 on an ordinary day."""
    return (view.count(DAY_MS) + 1) / (card_per_day(view) + 1)


def card_seconds_since_last(view: View) -> float:
    """Seconds since the card's transaction before this one; NaN if there is none."""
    return (view.entry.at_ms - view.times[view.seen - 1]) / 1000 if view.seen else NAN


def card_age_days(view: View) -> float:
    """Days since the card's first transaction on record; NaN without one."""
    history = view.history
    if history is None or not history.times:
        return NAN
    return max(0.0, (view.entry.at_ms - history.first_ms) / DAY_MS)


# The card's amounts


def card_mean_1d(view: View) -> float:
    """Mean amount in the 24 hours before, in hundreds of minor units."""
    return view.mean(DAY_MS) / 100


def card_mean_7d(view: View) -> float:
    """Mean amount in the 7 days before, in hundreds of minor units."""
    return view.mean(WEEK_MS) / 100


def card_mean_30d(view: View) -> float:
    """Mean amount in the 30 days before, in hundreds of minor units."""
    return view.mean_30d / 100


def card_amount_over_mean(view: View) -> float:
    """Amount / mean amount of 30 days (at least one minor unit)."""
    return view.entry.amount_minor / max(view.mean_30d, 1.0) if view.mean_30d == view.mean_30d else NAN


def card_amount_over_median(view: View) -> float:
    """Amount / median amount of the kept transactions (at least one minor unit): a fraud or two do not move it."""
    return view.entry.amount_minor / max(view.median, 1.0) if view.amounts else NAN


def card_amount_over_max(view: View) -> float:
    """Amount / largest kept amount (at least one minor unit)."""
    return view.entry.amount_minor / max(*view.amounts, 1) if view.amounts else NAN


def card_amount_rank(view: View) -> float:
    """Share of the kept transactions with a smaller amount."""
    amounts, mine = view.amounts, view.entry.amount_minor
    return sum([each < mine for each in amounts]) / len(amounts) if amounts else NAN


def card_running_mean(view: View) -> float:
    """Mean amount of all transactions ever folded in, in hundreds of minor units."""
    return view.running[0] / 100


def card_amount_z(view: View) -> float:
    """(amount - running mean) / running standard deviation; NaN below 3 transactions or without spread."""
    mean, deviation = view.running
    return (view.entry.amount_minor - mean) / deviation if deviation > 0 else NAN


def card_high_7d(view: View) -> float:
    """Kept transactions of the 7 days before whose amount exceeds 3 times the median; NaN without any kept."""
    return view.high(WEEK_MS)


def card_high_14d(view: View) -> float:
    """Kept transactions of the 14 days before whose amount exceeds 3 times the median; NaN without any kept."""
    return view.high(2 * WEEK_MS)


def card_days_since_high(view: View) -> float:
    """Days since the newest kept transaction of 28 days above 2.5 times the median; NaN without one."""
    return view.highs[-1] if view.highs else NAN


def card_days_since_first_high(view: View) -> float:
    """Days since the oldest kept transaction of 28 days above 2.5 times the median; NaN without one."""
    return view.highs[0] if view.highs else NAN


def card_highs(view: View) -> float:
    """Kept transactions of 28 days above 2.5 times the median; NaN without any kept."""
    return float(len(view.highs)) if view.amounts else NAN


def card_amount_over_running(view: View) -> float:
    """Amount / mean amount of all transactions ever folded in (at least one minor unit)."""
    mean, _ = view.running
    return view.entry.amount_minor / max(mean, 1.0) if mean == mean else NAN


def card_max_over_median_14d(view: View) -> float:
    """Largest kept amount of the 14 days before / median; NaN without any."""
    recent = view.recent(2 * WEEK_MS)
    return max(recent) / max(view.median, 1.0) if recent else NAN


# Where the card was used


def card_places(view: View) -> float:
    """Distinct terminals (merchants, payees) among the kept transactions; NaN where none names one."""
    places = view.places
    return float(len(set(places))) if places else NAN


def card_new_place(view: View) -> float:
    """1 if no kept transaction was at this terminal (merchant, payee), else 0; NaN if none is named or none kept."""
    place, places = view.entry.place, view.places
    if not place or not places:
        return NAN
    return 0.0 if place in places else 1.0


def card_lands(view: View) -> float:
    """Distinct countries among the kept transactions; NaN where none names one."""
    lands = view.lands
    return float(len(set(lands))) if lands else NAN


def card_new_land(view: View) -> float:
    """1 if no kept transaction was in this country, else 0; NaN if none is named or none kept."""
    land, lands = view.entry.land, view.lands
    if not land or not lands:
        return NAN
    return 0.0 if land in lands else 1.0


FEATURES: dict[str, Feature] = {
    feature.__name__: feature
    for feature in (
        amount, hour_of_day, weekend,
        card_count_10m, card_count_1h, card_count_1d, card_count_7d, card_count_30d, card_per_day, card_pace_ratio,
        card_seconds_since_last, card_age_days, card_mean_1d, card_mean_7d, card_mean_30d, card_amount_over_mean,
        card_amount_over_median, card_amount_over_max, card_amount_rank, card_running_mean, card_amount_z,
        card_amount_over_running, card_days_since_high, card_days_since_first_high, card_highs, card_high_7d, card_high_14d,
        card_max_over_median_14d, card_places, card_new_place, card_lands, card_new_land,
        *TERMINAL_FEATURES,
    )
}
"""Every feature by name."""


def vector(names: Iterable[str], *, source: str = "features") -> Vector:
    """A function from (history, entry, terminal) to the values of `names`, in order.

    Raises `BundleError`, naming `source`, for a name that is not in `FEATURES`."""
    names = tuple(names)
    for name in names:
        if name not in FEATURES:
            raise BundleError(f"{source}: unknown feature {name!r}; known: {', '.join(FEATURES)}")
    chosen = tuple(FEATURES[name] for name in names)

    def compute(history: History | None, entry: Entry, terminal: Terminal | None = None) -> list[float]:
        view = View(history, entry, terminal)
        return [feature(view) for feature in chosen]

    return compute
