"""How somebody writes: casing, stops, emoji, typos. A habit changes the form of a text and never what it says."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

_EMOJI = ("😂", "🙂", "👍", "❤️", "😅", "🙌", "😭", "🔥", "😊", "🤷", ":)", ":D", "xD", "<3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """What a writer always does, and shares (0 to 1) of their messages in which they do the rest."""

    lower_case: bool
    no_final_stop: bool
    shout: float
    exclaim: float
    stretch: float
    emoji: float
    typo: float
    favourite: tuple[str, ...]

    @classmethod
    def draw(cls, rng: Random) -> Habit:
        """Somebody's habit; most people do only some of this."""
        return cls(
            lower_case=rng.random() < 0.35,
            no_final_stop=rng.random() < 0.5,
            shout=0.3 if rng.random() < 0.02 else 0.002,
            exclaim=rng.choice((0.0, 0.02, 0.2)),
            stretch=rng.choice((0.0, 0.0, 0.05)),
            emoji=rng.choice((0.0, 0.05, 0.25)),
            typo=rng.choice((0.0, 0.02, 0.12)),
            favourite=tuple(rng.sample(_EMOJI, 3)),
        )

    def apply(self, text: str, rng: Random) -> str:
        """`text`, which is not empty, as this writer would put it."""
        if self.typo and rng.random() < self.typo:
            text = _mistype(text, rng)
        if self.stretch and rng.random() < self.stretch:
            text = _stretch(text, rng)
        if rng.random() < self.shout:
            text = text.upper()
        elif self.lower_case:
            text = text.lower()
        if self.exclaim and rng.random() < self.exclaim and text[-1].isalpha():
            text += "!" * rng.randint(1, 4)
        elif self.no_final_stop and text.endswith("."):
            text = text.rstrip(".") or text
        if self.emoji and rng.random() < self.emoji:
            text = f"{text} {rng.choice(self.favourite) * (1 if rng.random() < 0.8 else 3)}"
        return text


def _words(text: str, least: int) -> list[tuple[int, str]]:
    """Plain words of at least `least` letters and where each begins in `text`; addresses have dots and are none."""
    found, place = [], 0
    for word in text.split(" "):
        if len(word) >= least and word.isalpha():
            found.append((place, word))
        place += len(word) + 1
    return found


def _mistype(text: str, rng: Random) -> str:
    words = _words(text, 4)
    if not words:
        return text
    begin, word = rng.choice(words)
    at = begin + rng.randrange(1, len(word) - 1)
    slip = rng.random()
    if slip < 0.5:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if slip < 0.8 else text[:at] + text[at] + text[at:]


def _stretch(text: str, rng: Random) -> str:
    vowels = [begin + at for begin, word in _words(text, 2) for at in range(1, len(word)) if word[at] in "aeiou"]
    if not vowels:
        return text
    at = rng.choice(vowels)
    return text[:at] + text[at] * rng.randint(3, 6) + text[at + 1 :]
