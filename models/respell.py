"""Words spelt so that a filter misses them, or mistyped: put right where only one frequent word can be meant.

What it may change is bounded by a list of words, the most frequent first (`words.txt`): a word on the list is never touched, and
what replaces an unknown one is on its frequent part. Time is linear in the text: a word costs a few look-ups per letter."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import compress, count
from operator import not_
from pathlib import Path

_FILE = Path(__file__).parent / "words.txt"
VERSION = 2
"""Goes up with every change of the rules below."""

COMMON = 12_000
"""Words that may replace another."""
TYPOS = 6_000
"""Words whose spellings with a letter left out are undone."""
TOLD = 1_500
"""Words that three consonants are enough to tell."""
_CLEAR = 8
"""How many times rarer the second best word must be (by rank) for the best to be the one that is meant."""
_FUNCTION = 120
"""Words so frequent that they stand beside anything."""
_ORDINARY = 2_000
"""Words so frequent that two of them are never the pieces of a third."""
_APART = 3
"""The same for a word against the rarer of the two words that it falls into at a space."""

# What people hide: where a letter is masked, these are meant before any other word.
HARMFUL = tuple(
    """
    arse arsehole ass asses asshole assholes bastard bastards bitch bitches bitching bollocks bullshit chink chinks cock cocks cocksucker coon
    coons crap cum cunt cunts dick dickhead dicks dumbass dyke dykes fag faggot faggots fags fuck fucked fucker fuckers fuckin fucking fucks
    goddamn gook gooks hate horny hurt idiot idiots jackass jews kike kikes kill killed killing kys lynch masturbate moron morons motherfucker
    motherfuckers muslims nazi nazis nigga niggas nigger niggers nude nudes paki pakis pedo penis piss pissed porn prick pricks pussies pussy
    queer queers rape raped rapist retard retarded retards scum sex shit shits shitty shoot slag slut sluts spic spics stab stupid suck sucks
    suicide terrorist terrorists tits tranny trash turd twat twats vagina vermin wank wanker wankers whore whores
    """.split()  # noqa: SIM905 (a list of words is read as prose)
)
_HARMFUL = frozenset(HARMFUL)

_PLAIN = re.compile(r"[a-z]+")
_ODD = re.compile(r"[A-Za-z][0-9@$!|+€*#.\-_]+[A-Za-z0-9]|[0-9@$][A-Za-z]|\*\*")
_TOKEN = re.compile(r"[A-Za-z0-9@$!|+€*#]+")
CHUNK = re.compile(rf"{_TOKEN.pattern}(?:[.\-_'’]{_TOKEN.pattern})*+")
"""Tokens with one sign between them: what lies between two chunks is a blank, or parts them."""
_BESIDE = frozenset("@#/:\\%&=<>'’`")
"""A token beside one of these is part of a name, an address or a contraction."""
_JOINTS = frozenset(" .-_")
_SIGNS = frozenset("013457@$!|+€")
_READINGS = (str.maketrans("013457@$!|+€", "oieastasiite"), str.maketrans("013457@$!|+€", "oleastaslite"))
_LONGEST = 24
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BY_KEY = {
    key: "".join(
        other
        for near, line in enumerate(_KEYS)
        for spot, other in enumerate(line)
        if other != key and abs(near - row) <= 1 and abs(spot - at) <= 1
    )
    for row, keys in enumerate(_KEYS)
    for at, key in enumerate(keys)
}
"""The keys around each key."""
_SIDES = frozenset("'’")
"""Those of `_BESIDE` that stand inside a chunk."""
_VOWELS = re.compile(r"(?<!^)[aeiou]")


@cache
def _ranks() -> dict[str, int]:
    """Each word's place on the list."""
    return {word: rank for rank, word in enumerate(_FILE.read_text("utf-8").split())}


@cache
def _shortened() -> dict[str, str]:
    """Spellings with one inner letter left out, of words with at least five; the most frequent word where several share one."""
    found: dict[str, str] = {}
    for word, rank in _ranks().items():
        if rank >= TYPOS and word not in _HARMFUL:
            continue
        for at in range(1, len(word)) if len(word) >= 5 else ():
            found.setdefault(word[:at] + word[at + 1 :], word)
    return found


@cache
def _skeletons() -> dict[str, str]:
    """Words without the vowels after their first letter; "" where none stands out. Three letters left tell only a frequent word."""
    found: dict[str, list[str]] = {}
    for word, rank in _ranks().items():
        bare = _VOWELS.sub("", word)
        if (rank < COMMON and 4 <= len(bare) < len(word)) or ((rank < TOLD or word in _HARMFUL) and len(bare) == 3 < len(word)):
            found.setdefault(bare, []).append(word)
    return {bare: _best(words) for bare, words in found.items()}


@cache
def _settled() -> frozenset[str]:
    """Words that nothing is done to as long as no sign stands in or beside them: on the list, and no rare half of a frequent word."""
    ranks = _ranks()
    halves = set()
    for word, rank in ranks.items():
        for at in range(2, len(word) - 1) if rank < COMMON else ():
            one, other = word[:at], word[at:]
            if one in ranks and other in ranks and _joined(one, " ", other):
                halves.add(max(one, other, key=lambda half: ranks[half]))
    return frozenset((ranks.keys() - halves) | set(_LETTERS))


@cache
def _ordered() -> tuple[list[str], list[str]]:
    """The words that may replace another in order of their beginnings, and backwards, in order of their ends."""
    common = [word for word, rank in _ranks().items() if rank < COMMON]
    return sorted(common), sorted(word[::-1] for word in common)


def _best(words: list[str]) -> str:
    """The one of `words` that is meant, or "": a single one, or one far more frequent than all others."""
    ranks = _ranks()
    ranked = sorted((rank, word) for word in ranks.keys() & set(words) if (rank := ranks[word]) < COMMON)
    if not ranked:
        return ""
    return ranked[0][1] if len(ranked) == 1 or ranked[1][0] >= _CLEAR * (ranked[0][0] + 10) else ""


@lru_cache(maxsize=16_384)
def _mended(word: str) -> str:
    """The frequent word that the unknown `word` is a slip for, or ""."""
    if not 3 <= len(word) <= _LONGEST or _inflected(word):
        return ""
    swapped = [word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)] if len(word) > 3 else []
    found = _best(swapped) or _shortened().get(word, "") or _skeletons().get(word, "")
    if found or len(word) < 6:
        return found
    slips = [word[:at] + key + word[at + 1 :] for at, char in enumerate(word) if at for key in _BY_KEY[char]]
    # A wrong key is the weakest evidence: never enough to read a slur into a word.
    return _best([other for other in slips if other not in _HARMFUL])


def _inflected(word: str) -> bool:
    """Whether `word` looks like a regular form of a word on the list."""
    ranks = _ranks()
    for ending in ("s", "es", "ed", "ing", "er", "ers", "ly"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and (stem in ranks or (ending != "s" and (stem + "e" in ranks or stem[:-1] in ranks))):
            return True
    return False


@lru_cache(maxsize=16_384)
def _unmasked(word: str) -> str:
    """The word whose letters some of `*`, `#` hide in `word`, or "". More than one hidden letter is read as a swear word only."""
    hidden = [at for at, char in enumerate(word) if char in "*#"]
    if not 3 <= len(word) <= _LONGEST or hidden[0] == 0:
        return ""
    pattern = re.compile(re.sub(r"[*#]", "[a-z]", word))
    if len(hidden) == 1 and hidden[0] == len(word) - 1:
        return ""  # a note's star
    harmful = [other for other in HARMFUL if len(other) == len(word) and pattern.fullmatch(other)]
    if len(harmful) == 1 and len(word) > 3:
        return harmful[0]
    if len(hidden) > 1:
        return _best(harmful) if len(word) > 3 else ""
    return _best([word[: hidden[0]] + letter + word[hidden[0] + 1 :] for letter in _LETTERS])


@lru_cache(maxsize=16_384)
def _signs_read(word: str) -> str:
    """The frequent word that `word` is with digits and signs read as letters, or ""."""
    body = word.rstrip("!+|")
    if not 3 <= len(body) <= _LONGEST or not any(map(str.isalpha, body)):
        return ""
    letters = body.lstrip("0123456789")
    for reading in _READINGS:
        found = body.translate(reading)
        if not found.isalpha() or _ranks().get(found, COMMON) >= COMMON:
            continue
        # 5am, 4th, 10k and w1 are what they seem; 5hit is not.
        if found in _HARMFUL or (len(body) > 3 and not (letters.isalpha() and (letters in _ranks() or len(letters) < 3))):
            return found + word[len(body) :]
    return ""


def _joined(one: str, joint: str, other: str) -> str:
    """The frequent word that two pieces are with the sign between them left out, or standing for a letter, or ""."""
    ranks = _ranks()
    rarer = max(ranks.get(one, len(ranks)), ranks.get(other, len(ranks)))
    whole = one + other
    rank = ranks.get(whole, COMMON)
    if len(whole) >= 4 and rank < COMMON:
        if joint == " ":
            # A single letter is a word too often (vitamin c at), and so is a short word beside a rare one (bas is).
            frequent = min(len(one), len(other)) == 1 or min(ranks.get(one, COMMON), ranks.get(other, COMMON)) < _FUNCTION
            listed = all(len(piece) == 1 or piece in ranks for piece in (one, other))
            return whole if not (frequent and listed) and _APART * (rank + 30) < rarer else ""
        return whole if rank < rarer else ""
    # A letter hidden by a sign: what is left of and right of it must not both be words.
    if joint != " " and rarer >= COMMON // 4 and len(whole) >= 3:
        found = _best([one + letter + other for letter in _LETTERS])
        return found if found and ranks[found] * _APART < rarer else ""
    return ""


def quiet(chunk: str) -> bool:
    """Whether nothing is done to `chunk`, of `CHUNK`, whatever stands around it."""
    word = chunk.lower()
    if word in _settled():
        return True
    if chunk.isalpha():
        return _unjoined(word) and (len(word) > _LONGEST or not _respelt(chunk, word))
    # What stands around it can only join a token at its edge, or keep it as it is.
    return all(_alone(chunk, token) for token in _TOKEN.finditer(chunk)) and next(_read(chunk, 0, len(chunk)), None) is None


def edits(text: str, *, quiet: Callable[[str], bool] = quiet) -> list[tuple[int, int, str]]:
    """What to put in place of [start, end) of `text`, in order and apart from each other; `quiet` may remember."""
    found = [edit for begin, end in _unquiet(text, quiet) for edit in _read(text, begin, end)]
    # Words of the list alone, and no sign in or beside one: it stays as it is.
    kept = found and _settled().issuperset(_PLAIN.findall(text.lower())) and _ODD.search(text) is None
    return [] if kept else found


def _unquiet(text: str, quiet: Callable[[str], bool]) -> Iterator[tuple[int, int]]:
    """The parts of `text` that hold all chunks which are not quiet, each with one chunk after it, which it may be joined with, and two
    before it, which tell what the reader has in hand."""
    told = list(map(quiet, CHUNK.findall(text)))
    if all(told):
        return
    chunks = list(CHUNK.finditer(text))
    first, last = 0, -3
    for at in compress(count(), map(not_, told)):
        if at - 2 > last:
            if last >= 0:
                yield chunks[first].start(), chunks[last].end()
            first = max(at - 2, 0)
        last = min(at + 1, len(chunks) - 1)
    yield chunks[first].start(), chunks[last].end()


def _alone(chunk: str, match: re.Match[str]) -> bool:
    """Whether a token of `chunk` is never joined with another at a space."""
    token, (start, end) = match.group().lower(), match.span()
    if token in _settled() or not token.isalpha() or (end < len(chunk) and chunk[end] in _SIDES):
        return True
    beside = start > 0 and chunk[start - 1] in _SIDES and _ranks().get(token, COMMON) >= _ORDINARY
    return beside or _unjoined(token)


def _unjoined(word: str) -> bool:
    """Whether `word`, which is not settled, makes no frequent word with another: then that would begin or end with it."""
    begun, ended = _ordered()
    return word not in _ranks() and not _begins(begun, word) and not _begins(ended, word[::-1])


def _begins(words: list[str], beginning: str) -> bool:
    """Whether one of the sorted `words` begins with `beginning` and goes on."""
    at = bisect_left(words, beginning)
    at += at < len(words) and words[at] == beginning
    return at < len(words) and words[at].startswith(beginning)


def _read(text: str, begin: int, until: int) -> Iterator[tuple[int, int, str]]:
    """The edits of [begin, until) of `text`."""
    ranks = _ranks()
    pending: tuple[int, int, str] | None = None  # the token before, while it may still be joined with this one
    for match in _TOKEN.finditer(text, begin, until):
        token = match.group()
        word = token.lower()
        ordinary = ranks.get(word, COMMON) < _ORDINARY
        if ordinary and (pending is None or ranks.get(pending[2], COMMON) < _ORDINARY):
            pending = (*match.span(), word)
            continue
        start, end = match.span()
        beside = (start and text[start - 1] in _BESIDE) or (end < len(text) and text[end] in _BESIDE)
        plain = token.isalpha() and len(token) <= _LONGEST and not beside
        if pending is not None:
            before, stop, first = pending
            if plain and start == stop + 1 and text[stop] in _JOINTS and (found := _joined(first, text[stop], word)):
                yield before, end, _like(text[before:stop], found)
                pending = None
                continue
            if first not in ranks and (found := _respelt(text[before:stop], first)):
                yield before, stop, found
        pending = (start, end, word) if plain else None
        if pending is None and not beside and not token.isalpha() and not token.isdigit():
            found = _deciphered(word)
            if found not in ("", word):
                yield start, end, _like(token, found)
    if pending is not None and pending[2] not in ranks and (found := _respelt(text[pending[0] : pending[1]], pending[2])):
        yield pending[0], pending[1], found


def _respelt(token: str, word: str) -> str:
    # A capital begins a name more often than a slip.
    found = _mended(word)
    # So do three or four capitals.
    named = token[0].isupper() and (not token.isupper() or len(token) < 5)
    return "" if named and found not in _HARMFUL else _like(token, found)


def _deciphered(word: str) -> str:
    if not word[0].isalnum() and word[0] not in "@$":
        return ""
    stars = [at for at, char in enumerate(word) if char in "*#"]
    if not stars:
        return _signs_read(word) if not _SIGNS.isdisjoint(word) else ""
    if not all(char.isalpha() or char in "*#" for char in word):
        return ""
    one, _, other = word.partition("*")
    joined = one + other
    return _unmasked(word) or (joined if len(stars) == 1 and one and other and _ranks().get(joined, COMMON) < COMMON else "")


def _like(token: str, word: str) -> str:
    """`word` in capitals where `token` is."""
    return word.upper() if len(token) > 1 and token.isupper() else word


DIGEST = hashlib.sha256(
    _FILE.read_bytes() + repr((VERSION, COMMON, TYPOS, TOLD, _FUNCTION, _ORDINARY, _CLEAR, _APART, HARMFUL, _TOKEN.pattern)).encode()
).hexdigest()
"""Hex SHA-256 of the list of words and the rules."""
