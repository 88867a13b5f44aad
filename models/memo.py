"""What was found for a word, remembered: people use the same few thousand words again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V")

KEPT = 65_536
"""Words that are remembered at most."""
LONGEST = 32
"""Characters of the longest word that is remembered."""


class Memo(dict[str, V]):
    """`memo[word]` is `find(word)`, which depends on the word alone and is not None. Safe to call from several threads, and whatever comes
    in, no more than `kept` words are held: when the younger half of them is full it becomes the older, which is forgotten."""

    def __init__(self, find: Callable[[str], V], *, kept: int = KEPT) -> None:
        super().__init__()
        self._find = find
        self._half = max(1, kept // 2)
        self._older: dict[str, V] = {}

    def __missing__(self, word: str) -> V:
        if len(word) > LONGEST:
            return self._find(word)
        found = self._older.get(word)
        if found is None:
            found = self._find(word)
        if len(self) >= self._half:
            self._older = dict(self)
            self.clear()
        self[word] = found
        return found
