"""One poison record does not take its batch along."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agents.isolation import isolate


def _double(items: Sequence[int]) -> list[int]:
    if any(item < 0 for item in items):
        raise ValueError("negative")
    return [item * 2 for item in items]


@given(st.lists(st.integers(-3, 10)))
def test_every_item_gets_its_own_result_or_its_own_exception(items: list[int]) -> None:
    results = isolate(_double, items)
    assert len(results) == len(items)
    for item, result in zip(items, results, strict=True):
        assert isinstance(result, ValueError) if item < 0 else result == item * 2
