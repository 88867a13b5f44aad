"""Work on a long text is bounded, and its head and tail are always read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.windows import RAW_CHARS, shortened, slices, windows


@given(st.integers(0, 3_000), st.integers(1, 200), st.integers(1, 9))
def test_windows_are_few_small_and_reach_both_ends(length: int, size: int, count: int) -> None:
    tokens = list(range(length))
    found = windows(tokens, size=size, count=count)
    assert 1 <= len(found) <= count
    assert all(len(window) <= size for window in found)
    if length:
        assert found[0][0] == 0
        assert found[-1][-1] == length - 1 or count == 1
    if length <= size * count:
        assert {token for window in found for token in window} == set(tokens)


@given(st.integers(0, 2_000), st.integers(10, 300), st.integers(2, 9))
def test_slices_never_exceed_their_total_and_reach_both_ends(length: int, total: int, count: int) -> None:
    text = "".join(chr(0x4E00 + at) for at in range(length))
    found = slices(text, total=total, count=count)
    assert sum(map(len, found)) <= max(total, 0)
    assert found[0] == text[: len(found[0])]
    assert text.endswith(found[-1])


def test_a_megabyte_is_shortened_to_its_bound_with_head_and_tail() -> None:
    text = "start " + "x y z w " * 150_000 + "end"
    short = shortened(text, max_chars=4_800, parts=8)
    assert len(short) <= 4_800 + 8
    assert short.startswith("start")
    assert short.endswith("end")
    assert len(text) > RAW_CHARS
