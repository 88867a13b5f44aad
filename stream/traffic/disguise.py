"""How abuse is hidden from word lists: digits for letters, spaced-out letters, characters of no width."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from stream.traffic.event import Disguise

_LEET = str.maketrans("aeiostAEIOST", "431057431057")
ZERO_WIDTH = ("\u200b", "\u200c", "\u200d", "\u2060")


def _loaded(text: str) -> list[int]:
    """Where the longest plain words of `text.split(" ")` stand, the longest first, at most three."""
    words = text.split(" ")
    plain = [at for at, word in enumerate(words) if len(word) > 2 and word.isalpha()]
    return sorted(plain, key=lambda at: -len(words[at]))[:3]


def _each(text: str, change: Callable[[str], str]) -> str:
    words = text.split(" ")
    for at in _loaded(text):
        words[at] = change(words[at])
    return " ".join(words)


def _leet(text: str, _: Random) -> str:
    return _each(text, lambda word: word.translate(_LEET))


def _spaced(text: str, rng: Random) -> str:
    mark = rng.choice((" ", " ", ".", "-", "*"))
    return _each(text, mark.join)


def _zero_width(text: str, rng: Random) -> str:
    return _each(text, lambda word: rng.choice(ZERO_WIDTH).join(word))


DISGUISES: Mapping[Disguise, Callable[[str, Random], str]] = {
    "leet": _leet, "spaced": _spaced, "zero_width": _zero_width,
}


def disguise(text: str, rng: Random) -> tuple[str, Disguise | None]:
    """`text` with its longest words hidden in one of the ways, and which; None if nothing in it could be hidden."""
    how = rng.choice(tuple(DISGUISES))
    hidden = DISGUISES[how](text, rng)
    return (hidden, how) if hidden != text else (text, None)
