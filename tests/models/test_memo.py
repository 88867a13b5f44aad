"""What a word was found to be is asked for once, and memory is bounded whatever words come."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from models.memo import LONGEST, Memo


def _held(memo: Memo[int]) -> int:
    return len(memo) + len(memo._older)


@given(st.lists(st.text(max_size=2 * LONGEST)), st.integers(1, 12))
def test_it_says_what_it_remembers_and_remembers_little(words: Iterable[str], kept: int) -> None:
    memo = Memo(len, kept=kept)
    for word in words:
        assert memo[word] == len(word)
        assert _held(memo) <= max(2, kept)
    assert all(len(word) <= LONGEST for word in memo)


def test_a_word_in_use_outlives_a_flood() -> None:
    asked: list[str] = []

    def find(word: str) -> int:
        asked.append(word)
        return len(word)

    memo = Memo(find, kept=100)
    for number in range(1_000):
        assert memo["usual"] == 5
        assert memo[str(number)] == len(str(number))
    assert asked.count("usual") == 1
