from __future__ import annotations

from collections.abc import Callable
from math import isnan
from statistics import mean, median, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.entry import Entry, key16
from models.errors import BundleError
from models.features import FEATURES, vector
from models.history import DAY_MS, EMPTY, HOUR_MS, KEPT, History
from models.terminal import Terminal
from models.view import DELAY_MS, View

EUR, USD = 1, 2
NOW = 1_533_729_600_000 + 20 * 60_000  # Wednesday 2018-08-08, 12:20 UTC
MINUTE = 60_000


def past(*ages_and_amounts: tuple[int, int], currency: int = EUR, place: int = 0, land: int = 0) -> History:
    history = EMPTY
    for number, (age, amount) in enumerate(ages_and_amounts):
        history = history.add(Entry(NOW - age, number + 1, amount, currency, place, land))
    return history


def at(*, amount: int = 1_000, currency: int = EUR, place: int = 0, land: int = 0, at_ms: int = NOW) -> Entry:
    return Entry(at_ms, 10_000, amount, currency, place, land)


PAYMENTS = (
    (40 * DAY_MS, 900),
    (20 * DAY_MS, 100), (10 * DAY_MS, 300), (5 * DAY_MS, 2_000), (20 * HOUR_MS, 200), (30 * MINUTE, 400), (5 * MINUTE, 300),
)
CARD = past(*PAYMENTS)
AMOUNTS = [amount for _, amount in PAYMENTS]


def terminal(*, rulings: dict[int, int], ages_days: tuple[float, ...] = (30, 20, 15, 12, 9, 3, 0.5)) -> Terminal:
    """Transactions of these ages; `rulings` maps a transaction's position to the age in ms of its becoming known as fraud."""
    value = Terminal()
    for number, days in enumerate(ages_days):
        value = value.add(Entry(NOW - int(days * DAY_MS), number + 1, 500, EUR), usual_minor=400)
    for number, known in rulings.items():
        value = value.judge(tx=number + 1, at_ms=NOW - int(ages_days[number] * DAY_MS), known_ms=NOW - known, fraud=True)
    return value


HURT = terminal(rulings={2: 8 * DAY_MS, 3: 5 * DAY_MS, 4: 2 * DAY_MS})
EXPECTED: dict[str, float] = {
    "amount": 10.0,
    "hour_of_day": 12 + 20 / 60,
    "weekend": 0.0,
    "card_count_10m": 1,
    "card_count_1h": 2,
    "card_count_1d": 3,
    "card_count_7d": 4,
    "card_count_30d": 6,
    "card_per_day": 6 / 30,
    "card_pace_ratio": (3 + 1) / (6 / 30 + 1),
    "card_seconds_since_last": 300,
    "card_age_days": 40,
    "card_mean_1d": 3.0,
    "card_mean_7d": mean([2_000, 200, 400, 300]) / 100,
    "card_mean_30d": mean(AMOUNTS[1:]) / 100,
    "card_amount_over_mean": 1_000 / mean(AMOUNTS[1:]),
    "card_amount_over_median": 1_000 / median(AMOUNTS),
    "card_amount_over_max": 1_000 / 2_000,
    "card_amount_rank": 6 / 7,
    "card_running_mean": mean(AMOUNTS) / 100,
    "card_amount_z": (1_000 - mean(AMOUNTS)) / pstdev(AMOUNTS),
    "card_amount_over_running": 1_000 / mean(AMOUNTS),
    "card_days_since_high": 5,
    "card_days_since_first_high": 5,
    "card_highs": 1,
    "card_high_7d": 1,
    "card_high_14d": 1,
    "card_max_over_median_14d": 2_000 / 300,
    "card_places": float("nan"),
    "card_new_place": float("nan"),
    "card_lands": float("nan"),
    "card_new_land": float("nan"),
    "terminal_count_1d": 1,
    "terminal_count_7d": 2,
    "terminal_count_30d": 7,
    "terminal_frauds_1d": 0,
    "terminal_frauds_7d": 2,
    "terminal_frauds_30d": 3,
    "terminal_risk_1d": float("nan"),
    "terminal_risk_7d": 2 / 2,
    "terminal_risk_30d": 3 / 5,
    "terminal_fraud_share_3": 1.0,
    "terminal_fraud_share_10": 3 / 5,
    "terminal_streak": 3,
    "terminal_streak_days": 15 - 20 * MINUTE / DAY_MS,
    "terminal_streak_gap_days": 20 - 20 * MINUTE / DAY_MS,
    "terminal_streak_amount": 5.0,
    "terminal_streak_odd": 1.25,
    "terminal_plain_frauds": 3,
    "terminal_days_since_fraud": 9 - 20 * MINUTE / DAY_MS,
    "terminal_legit_since_fraud": 0,
}


def test_every_feature_has_a_row_in_this_table() -> None:
    assert set(EXPECTED) == set(FEATURES)


@pytest.mark.parametrize("name", EXPECTED)
def test_feature_follows_its_formula(name: str) -> None:
    assert FEATURES[name](View(CARD, at(), HURT)) == pytest.approx(EXPECTED[name], nan_ok=True)


@pytest.mark.parametrize("name", [name for name in FEATURES if name.startswith(("card_", "terminal_"))])
def test_without_a_past_nothing_is_claimed(name: str) -> None:
    assert isnan(FEATURES[name](View(None, at(place=1, land=1), None)))


@pytest.mark.parametrize("name", [name for name in FEATURES if name.startswith("card_")])
def test_an_empty_history_never_raises(name: str) -> None:
    FEATURES[name](View(EMPTY, at(), Terminal()))


def test_the_past_is_what_lies_before_the_transaction_in_event_time() -> None:
    late = at(at_ms=NOW - 10 * MINUTE)
    before = past(*PAYMENTS[:-1])
    names = [name for name in FEATURES if name.startswith("card_")]
    compute = vector(names)
    assert compute(CARD, late, None) == pytest.approx(compute(before, late, None), nan_ok=True)


def test_a_transaction_delivered_again_does_not_see_itself() -> None:
    compute, entry = vector(FEATURES), at(place=5, land=6)
    history = past((2 * DAY_MS, 700), (HOUR_MS, 900), place=5, land=6)
    assert compute(history.add(entry), entry, None) == pytest.approx(compute(history, entry, None), nan_ok=True)


def test_amounts_of_another_currency_are_not_compared() -> None:
    view = View(past((DAY_MS, 500), (HOUR_MS, 600), currency=USD), at(currency=EUR))
    assert isnan(view.mean_30d)
    assert isnan(view.median)
    assert FEATURES["card_count_7d"](view) == 2
    mixed = View(past((DAY_MS, 500)).add(Entry(NOW - HOUR_MS, 50, 9_999, USD)), at(currency=EUR))
    assert mixed.mean_30d == 500


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"), [(7, 7, 0.0), (7, 8, 1.0), (0, 8, None), (7, 0, None)], ids=["same", "other", "unnamed", "none kept"]
)
@pytest.mark.parametrize("kind", ["place", "land"])
def test_new_place_and_country(kind: str, mine: int, theirs: int, expected: float | None) -> None:
    build: dict[str, Callable[[], View]] = {
        "place": lambda: View(past((DAY_MS, 1), place=theirs), at(place=mine)),
        "land": lambda: View(past((DAY_MS, 1), land=theirs), at(land=mine)),
    }
    value = FEATURES[f"card_new_{kind}"](build[kind]())
    assert isnan(value) if expected is None else value == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60 * DAY_MS), st.integers(0, 10**6)), min_size=1, max_size=KEPT))
def test_windows_are_exact_while_all_transactions_are_kept(ages: list[tuple[int, int]]) -> None:
    view = View(past(*ages), at())
    for name, length in (("10m", 10 * MINUTE), ("1h", HOUR_MS), ("1d", DAY_MS), ("7d", 7 * DAY_MS), ("30d", 30 * DAY_MS)):
        assert FEATURES[f"card_count_{name}"](view) == sum(age < length for age, _ in ages)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 400))
def test_windows_beyond_the_kept_ones_are_off_by_no_more_than_a_days_transactions(gap_minutes: int) -> None:
    history = EMPTY
    for age in range(1_499, 0, -1):
        history = history.add(Entry(NOW - age * gap_minutes * MINUTE, age, 1_000, EUR))
    view = View(history, at())
    for name, length in (("1d", DAY_MS), ("7d", 7 * DAY_MS), ("30d", 30 * DAY_MS)):
        truth = sum(age * gap_minutes * MINUTE < length for age in range(1, 1_500))
        slack = (HOUR_MS if name == "1d" else DAY_MS) / (gap_minutes * MINUTE) / 2 + 1
        assert abs(FEATURES[f"card_count_{name}"](view) - truth) <= slack
        assert view.mean(length) == pytest.approx(1_000) or not truth


def test_rulings_count_from_the_closed_hour_after_they_became_known() -> None:
    known_in_the_open_hour = terminal(rulings={2: 10 * MINUTE})
    assert FEATURES["terminal_frauds_30d"](View(EMPTY, at(), known_in_the_open_hour)) == 0
    assert FEATURES["terminal_frauds_30d"](View(EMPTY, at(at_ms=NOW + HOUR_MS), known_in_the_open_hour)) == 1


def test_a_terminal_that_knows_more_gives_the_same_answer() -> None:
    """A snapshot that is ahead of its reader must not change what the reader sees."""
    ahead = HURT
    for number in range(5):
        ahead = ahead.add(Entry(NOW + number * MINUTE, 500 + number, 1, EUR))
    ahead = ahead.judge(tx=1, at_ms=NOW - 30 * DAY_MS, known_ms=NOW - 5 * MINUTE, fraud=True)
    compute = vector([name for name in FEATURES if name.startswith("terminal_")])
    assert compute(None, at(), ahead) == pytest.approx(compute(None, at(), HURT), nan_ok=True)


def test_silence_makes_a_transaction_legitimate_only_after_the_usual_delay() -> None:
    quiet = terminal(rulings={}, ages_days=(8, 6))
    assert View(EMPTY, at(), quiet).ripe == [(8 * DAY_MS - 20 * MINUTE - 1, False, 500, 1.25)]
    assert DELAY_MS == 7 * DAY_MS


def test_an_amount_whose_oddity_is_not_known_leaves_no_trace() -> None:
    unknown = Terminal().add(Entry(NOW - 10 * DAY_MS, 1, 500, EUR)).judge(tx=1, at_ms=NOW - 10 * DAY_MS, known_ms=NOW - DAY_MS, fraud=True)
    view = View(EMPTY, at(), unknown)
    assert isnan(FEATURES["terminal_streak_odd"](view))
    assert FEATURES["terminal_plain_frauds"](view) == 0
    assert FEATURES["terminal_streak"](view) == 1


def test_an_unknown_feature_fails_at_load_and_names_the_known() -> None:
    with pytest.raises(BundleError, match=r"card\.json: unknown feature 'card_mood'; known: amount, "):
        vector(["amount", "card_mood"], source="card.json")


def test_a_vector_keeps_the_order_of_its_names() -> None:
    assert vector(["card_count_1h", "amount"])(CARD, at(), None) == [2.0, 10.0]


def test_currencies_are_told_apart_whatever_their_case() -> None:
    assert key16("eur") == key16("EUR") != key16("USD")
