"""Disguises and typos as people write them, and identity terms exchanged: applied to training texts on the fly.

The serving path normalises first; training does too, after the disguise, so that the model sees what normalisation leaves."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from models.train.text_terms import SWAPS

_WORD = re.compile(r"[A-Za-z]{3,}")
_LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7"}
_HOMOGLYPHS = {"a": "аɑ", "c": "с", "e": "е", "i": "і", "o": "оο", "p": "р", "s": "ѕ", "x": "х", "y": "у", "u": "υ", "n": "ո", "k": "κ"}
_NEIGHBOURS = {
    "a": "sq",
    "b": "vn",
    "c": "xv",
    "d": "sf",
    "e": "wr",
    "f": "dg",
    "g": "fh",
    "h": "gj",
    "i": "uo",
    "j": "hk",
    "k": "jl",
    "l": "k",
    "m": "n",
    "n": "bm",
    "o": "ip",
    "p": "o",
    "q": "w",
    "r": "et",
    "s": "ad",
    "t": "ry",
    "u": "yi",
    "v": "cb",
    "w": "qe",
    "x": "zc",
    "y": "tu",
    "z": "x",
}
_SWAP = {term: row for row in SWAPS for term in row}
_TERM = re.compile(r"\b(" + "|".join(sorted(_SWAP, key=len, reverse=True)) + r")\b", re.IGNORECASE)

Disguise = Callable[[str, random.Random], str]


def _map(word: str, table: dict[str, str], share: float, rng: random.Random) -> str:
    return "".join(rng.choice(table[c]) if c in table and rng.random() < share else c for c in word)


def leet(word: str, rng: random.Random) -> str:
    """Letters as digits and signs: f4gg0t, sh1t."""
    return _map(word.lower(), _LEET, 0.7, rng)


def homoglyph(word: str, rng: random.Random) -> str:
    """Letters of other scripts that look the same."""
    return _map(word, _HOMOGLYPHS, 0.6, rng)


def apart(word: str, rng: random.Random) -> str:
    """Every letter apart: k i l l, k.i.l.l."""
    return rng.choice((" ", ".", "-", "_", "*")).join(word)


def split(word: str, rng: random.Random) -> str:
    """One gap inside the word: ki ll."""
    at = rng.randrange(1, len(word))
    return word[:at] + rng.choice((" ", ".", "-", "*")) + word[at:]


def stretch(word: str, rng: random.Random) -> str:
    """One letter repeated: fuuuck."""
    at = rng.randrange(len(word))
    return word[:at] + word[at] * rng.randint(2, 6) + word[at:]


def invisible(word: str, rng: random.Random) -> str:
    """Zero-width characters between the letters."""
    return rng.choice("\u200b\u200c\u200d\u00ad\u2060").join(word)


def mask(word: str, rng: random.Random) -> str:
    """A vowel or an inner letter hidden behind a sign: f*ck, sh#t."""
    inner = [i for i, c in enumerate(word[1:-1], 1) if c.lower() in "aeiou"] or [1]
    at = rng.choice(inner)
    return word[:at] + rng.choice("**#_-.") + word[at + 1 :]


def transpose(word: str, rng: random.Random) -> str:
    """Two neighbouring letters exchanged."""
    at = rng.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def drop(word: str, rng: random.Random) -> str:
    """One letter left out."""
    at = rng.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def slip(word: str, rng: random.Random) -> str:
    """One letter replaced by its neighbour on the keyboard."""
    at = rng.randrange(len(word))
    return word[:at] + rng.choice(_NEIGHBOURS.get(word[at].lower(), "e")) + word[at + 1 :]


def vowelless(word: str, _rng: random.Random) -> str:
    """The vowels left out, all but a first one."""
    return word[0] + "".join(c for c in word[1:] if c.lower() not in "aeiou")


_SOUNDS = (
    ("ck", "k"),
    ("ph", "f"),
    ("f", "ph"),
    ("c", "k"),
    ("s", "z"),
    ("ee", "ea"),
    ("er", "a"),
    ("ing", "in"),
    ("y", "ie"),
    ("x", "ks"),
)


def phonetic(word: str, rng: random.Random) -> str:
    """Spelt by sound: phuck, kunt, idiotz."""
    fitting = [(old, new) for old, new in _SOUNDS if old in word.lower()]
    if not fitting:
        return word
    old, new = rng.choice(fitting)
    return re.sub(re.escape(old), new, word, count=1, flags=re.IGNORECASE)


WORD_DISGUISES: tuple[Disguise, ...] = (
    leet,
    homoglyph,
    apart,
    split,
    stretch,
    invisible,
    mask,
    transpose,
    drop,
    slip,
    vowelless,
    phonetic,
)
# In training most go to what normalisation cannot undo.
_OFTEN = (0.5, 0.3, 0.7, 1.5, 0.5, 0.2, 1.3, 1.4, 1.6, 1.6, 1.6, 0.8)


def disguise(text: str, rng: random.Random) -> str:
    """`text` with one or two kinds of disguise on a share of its words, or a change of case or of spaces to all of it."""
    kind = rng.random()
    if kind < 0.08:
        return rng.choice((text.upper(), text.lower(), text.title(), text.swapcase()))
    if kind < 0.13:
        return re.sub(r" ", lambda match: "" if rng.random() < 0.3 else match.group(), text)
    changes = rng.choices(WORD_DISGUISES, _OFTEN, k=2 if kind < 0.35 else 1)
    share = rng.choice((0.15, 0.3, 0.6))
    return _WORD.sub(lambda match: rng.choice(changes)(match.group(), rng) if rng.random() < share else match.group(), text)


def swap_identities(text: str, rng: random.Random) -> str:
    """`text` with each group term exchanged for another of its kind, the same one everywhere."""
    chosen: dict[str, str] = {}

    def exchange(match: re.Match[str]) -> str:
        term = match.group().lower()
        other = chosen.setdefault(term, rng.choice(_SWAP[term]))
        return other.capitalize() if match.group()[0].isupper() else other

    return _TERM.sub(exchange, text)


def has_identity(text: str) -> bool:
    """Whether `swap_identities` could change anything."""
    return _TERM.search(text) is not None
