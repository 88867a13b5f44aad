"""Habits and disguises change the form of a text and keep what it says."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stream.traffic.disguise import DISGUISES, ZERO_WIDTH, disguise
from stream.traffic.style import Habit

PLAIN = Habit(
    lower_case=False, no_final_stop=False, shout=0.0, exclaim=0.0, stretch=0.0, emoji=0.0, typo=0.0, favourite=("🙂",),
)


@given(st.text(min_size=1), st.integers())
def test_a_plain_habit_leaves_the_text_as_it_is(text: str, seed: int) -> None:
    assert PLAIN.apply(text, Random(seed)) == text


@given(st.text(min_size=1), st.integers())
def test_no_habit_fails_or_leaves_nothing(text: str, seed: int) -> None:
    rng = Random(seed)
    assert Habit.draw(rng).apply(text, rng)


def test_a_typo_is_one_slip_in_one_word() -> None:
    habit = replace(PLAIN, typo=1.0)
    seen = {habit.apply("see the kitchen at a b", Random(seed)) for seed in range(200)}
    assert {"see the ktichen at a b", "see the kichen at a b", "see the kittchen at a b"} <= seen
    assert all(text.startswith("see the k") and text.endswith(" at a b") for text in seen)


def test_habits_show() -> None:
    shouting = replace(PLAIN, shout=1.0, emoji=1.0)
    assert shouting.apply("so good", Random(0)).startswith("SO GOOD 🙂")
    lazy = replace(PLAIN, lower_case=True, no_final_stop=True)
    assert lazy.apply("Yes. I Know.", Random(0)) == "yes. i know"


def test_each_disguise_hides_the_longest_words() -> None:
    text = "you are an idiot"
    assert DISGUISES["leet"](text, Random(0)) == "y0u 4r3 an 1d107"
    assert "idiot" not in DISGUISES["spaced"](text, Random(0))
    hidden = DISGUISES["zero_width"](text, Random(0))
    assert hidden != text
    assert "".join(sign for sign in hidden if sign not in ZERO_WIDTH) == text


def test_addresses_are_not_disguised_and_a_text_without_words_stays() -> None:
    assert disguise("http://a1.example/x 17", Random(0)) == ("http://a1.example/x 17", None)
