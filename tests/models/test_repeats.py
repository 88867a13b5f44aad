"""Repeated texts: scored once, with the very scores that each would have got."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.repeats import Repeats


class Counting:
    """Scores by the text alone, and remembers what it was asked."""

    labels = ("length", "sum")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.array([(len(text), sum(map(ord, text))) for text in texts], np.float32).reshape(len(texts), 2)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "B", "a ", "\ud800", "", "é"]), max_size=6), max_size=8), st.integers(1, 9))
def test_scores_are_those_of_the_scorer_whatever_came_before(batches: list[list[str]], kept: int) -> None:
    repeats = Repeats(Counting(), kept=kept)
    for batch in batches:
        np.testing.assert_array_equal(repeats.score(batch), Counting().score(batch))


def test_a_text_is_scored_once_in_a_batch_and_after_it_and_the_repetitions_are_told() -> None:
    scorer, told = Counting(), list[int]()
    repeats = Repeats(scorer, tell=told.append)
    repeats.score(["a", "b", "a", "A"])
    repeats.score(["b", "c"])
    assert sorted(scorer.asked) == ["A", "a", "b", "c"]
    assert told == [1, 1]


def test_the_texts_seen_last_are_kept() -> None:
    scorer = Counting()
    repeats = Repeats(scorer, kept=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        repeats.score([text])
    assert scorer.asked == ["a", "b", "c", "b"]


def test_nobody_can_change_what_is_remembered() -> None:
    repeats = Repeats(Counting())
    repeats.score(["a"])[:] = 0
    np.testing.assert_array_equal(repeats.score(["a"]), Counting().score(["a"]))
