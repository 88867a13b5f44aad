"""Text as the classifier reads it: disguises undone, ordinary text untouched, offsets kept.

The steps, each a pattern and a replacement, in this order: characters (NFKC, invisible and bidirectional controls and stacked
marks removed), confusables of other scripts, letters apart, leetspeak, repetition, spelling by a list of words (`models.respell`),
overlong words. Each pattern consumes what it matched and looks at most a bounded distance around it, so that the time is linear in
the text whatever is in it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

from models import respell
from models.confusables import CONFUSABLES
from models.memo import Memo

VERSION = 2

Replace = Callable[[re.Match[str]], str]
Step = Callable[[str], Iterable[tuple[int, int, str]]]
"""What to put in place of [start, end) of a text, in order and apart from each other."""
Gate = Callable[[str], object]
"""False of a text that a step leaves alone: a cheap look before a costly one."""

# Letters that a reader sees in a digit or sign inside a word. 2, 6, 8 and 9 stand in too many honest words (b2b, i18n, h8).
_LEET = str.maketrans("013457@$!|+€", "oieastasiite")
_LEET_SIGN = r"[013457@$!|+€]"
_NEVER_BEFORE = r"(?<![\w/.:#%=&?@$-])"
_NEVER_AFTER = r"(?![\w@$%=&]|[./:][A-Za-z0-9])"

# Words that keep a doubled letter when a stretched spelling is pulled together; any other run becomes one letter.
_DOUBLED = frozenset(
    """
    ass asses asshole assholes pussy pussies nigger niggers nigga niggas faggot faggots boob boobs booty kill kills killed killer
    killing hell hello kiss piss pissed pissing cool good too food soon fool school look looks looking book see seen feel feels need
    needs free week sleep well all tell call calls will still small yellow pretty happy really miss missed missing less boss butt
    titties tits off stuff moon room wood blood door poor cheer beer deer been seem seems green queen sweet meet street teen teenager
    sheep deep keep feet speed week agree three tree wall ball fall pull full bull bullshit shall skill bill pill ill sell smell spell
    cell hill chill doll roll troll trolls silly funny sunny dinner winner better letter matter butter bitter little bottle kettle
    hitting shitting shitty getting sitting cutting putting apple happen happened stopped shopping slap slapped dropped supper puppy
    daddy buddy middle odd add ladder sudden hidden egg bigger bigot bugger digger dumbass jackass badass dickhead cunnilingus fatass
    pass class grass glass mess dress press stress guess success access loose goose shoot shooting boo boom zoom spoon tooth smooth
    proof roof hook cook took coffee committee different difficult offer office effort arrest sorry worry carry marry hurry mirror
    error terror terrorist common comment command summer hammer immigrant community annoy annoyed annoying penny bunny nanny granny
    tunnel channel connect cannot muffin puff stiff sniff cliff fluff buff buzz fuzz jazz pizza puzzle dizzy fizz ooh whoo woo yoo
    shoo yummy mommy mummy tummy scummy dummy aww ahh ohh hmm umm mmm retarded racoon coon coons goon goons hooker whoop bloody floor
    tool tools pool toxic weed bleed greed freedom succeed proceed indeed seed feed wee pee peed pees
    """.split()  # noqa: SIM905 (a list of two hundred words is read as prose)
)
_ROMAN = frozenset("ivxlcdm")

_CHARACTERS = re.compile(r"[^\x20-\x7e\t\n\r]")
_MARKS = re.compile(
    r"([^\W\d_])([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+)|[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]"
)
_FOREIGN_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]*+[^\x00-\x7f]\w*+")
_APART = re.compile(r"(?<![\w'])[A-Za-z0-9@$!](?:([ .\-_*/|~,])[A-Za-z0@$!13](?![^\W_]|'))(?:\1[A-Za-z0@$!13](?![^\W_]|')){1,}+(?!_)")
_LEET_WORD = re.compile(
    rf"{_NEVER_BEFORE}(?!mp[34])(?:(?:[A-Za-z]{{1,32}}+(?:{_LEET_SIGN}{{1,2}}+[A-Za-z]{{1,32}}+){{1,8}}+|[a-z]{{1,32}}+(?=\$))\${{0,3}}+"
    rf"|\$[a-z]{{2,32}}+|@ss(?:hole)?s?){_NEVER_AFTER}"
)
# A word such as no!no or hello!how is two words with a stop between them; b!tch is one.
_STOP = re.compile(r"[aeiouAEIOU]!|[A-Za-z]{4}!|!!|![aeiou]")
_STRETCHED = re.compile(r"([A-Za-z])\1\1|([^\w\s])\2{3}|(\s)\3{3}")
_REPEAT = re.compile(r"[A-Za-z]{1,64}+|([^\w\s])\1{3,}+|(\s)\2{3,}+")
_RUN = re.compile(r"(.)\1+", re.IGNORECASE | re.DOTALL)
_OVERLONG = re.compile(r"\w{64}(?=\w)")
# Gates: each finds what its step cannot do without, and begins with a set of characters, which `re` seeks fast.
_MAY_BE_APART = re.compile(r"[ .\-_*/|~,][A-Za-z0@$!13][ .\-_*/|~,][A-Za-z0@$!13](?!\w)")
_MAY_BE_LEET = re.compile(rf"{_LEET_SIGN}(?:(?<=[A-Za-z].){_LEET_SIGN}?[A-Za-z]|(?<=\$)[a-z]|(?<=[a-z]\$)|(?<=@)ss)")
_THREE = re.compile(r"(.)\1\1", re.DOTALL)
_FOUR = re.compile(r"(.)\1\1\1", re.DOTALL)


@lru_cache(maxsize=8192)
def _character(char: str) -> str:
    """What one character outside printable ASCII becomes."""
    category = unicodedata.category(char)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn") or "\ufe00" <= char <= "\ufe0f" or char in "\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5":
        return "" if char not in "\x0b\x0c\x1c\x1d\x1e\x1f\x85" else " "
    if category.startswith("Z"):
        return "\n" if char in "\u2028\u2029" else " "
    if "\U0001f1e6" <= char <= "\U0001f1ff":
        return chr(ord("a") + ord(char) - 0x1F1E6)
    if "\U0001f130" <= char <= "\U0001f189":
        return chr(ord("a") + (ord(char) - 0x1F130) % 32) if (ord(char) - 0x1F130) % 32 < 26 else char
    return unicodedata.normalize("NFKC", char)[:4]


def _unmark(match: re.Match[str]) -> str:
    base, marks = match.group(1), match.group(2)
    if base is None:
        return ""
    composed = unicodedata.normalize("NFC", base + marks[0])
    # One accent is spelling; more, or one that no letter carries, is decoration.
    return composed if len(marks) == 1 and len(composed) == 1 else str(base)


def _fold(match: re.Match[str]) -> str:
    """A word whose letters outside Latin all look Latin, in Latin; any other word as it is."""
    word = match.group()
    folded = word.translate(CONFUSABLES)
    return folded if not any(char > "\u024f" and char.isalpha() for char in folded) else word


def _fold_mixed(match: re.Match[str]) -> str:
    """As `_fold`, for a text with real foreign words: only a word that has Latin letters beside the others."""
    word = match.group()
    return _fold(match) if any(char < "\x80" and char.isalpha() for char in word) else word


def _join(match: re.Match[str]) -> str:
    letters = match.group()[::2]
    return letters if sum(char.isalpha() for char in letters) * 2 > len(letters) else match.group()


def _unleet(match: re.Match[str]) -> str:
    word = match.group()
    return word if "!" in word and _STOP.search(word) else word.translate(_LEET)


def _shorten(match: re.Match[str]) -> str:
    text = match.group()
    if not text[0].isalpha():
        return text[:3]
    if not _STRETCHED.search(text):
        return text
    runs = list(_RUN.finditer(text))
    if len(runs) == 1 and runs[0].span() == (0, len(text)):
        return text[:3]
    if len(text) <= 8 and _ROMAN.issuperset(text.lower()):
        return text
    # Letters between the runs are fixed; each run is one or two letters long.
    pieces: list[tuple[str, ...]] = []
    end = 0
    for run in runs:
        pieces.append((text[end : run.start()],))
        long = run.end() - run.start() > 2
        # A pair is the writer's spelling; only of a longer run is the length open.
        pieces.append((text[run.start()], text[run.start()] * 2) if long and len(runs) <= 4 else (text[run.start()] * (1 if long else 2),))
        end = run.end()
    pieces.append((text[end:],))
    spellings = ["".join(parts) for parts in product(*pieces)]
    return next((spelling for spelling in spellings if spelling.lower() in _DOUBLED), spellings[0])


def _break(match: re.Match[str]) -> str:
    # The tokenizer reads a word of more than 100 characters as unknown, and would see nothing of it.
    return match.group() + " "


@lru_cache(maxsize=8192)
def _foreign(char: str) -> bool:
    """Whether `char` is a letter that neither is Latin nor looks it."""
    return char > "\u024f" and char.isalpha() and ord(char) not in CONFUSABLES and unicodedata.normalize("NFKC", char) == char


def _step(pattern: re.Pattern[str], replace: Replace, needed: Gate = bool) -> Step:
    return partial(_edits, pattern, replace, needed)


def _edits(pattern: re.Pattern[str], replace: Replace, needed: Gate, text: str) -> Iterator[tuple[int, int, str]]:
    if needed(text):
        for match in pattern.finditer(text):
            if (new := replace(match)) != match.group():
                yield *match.span(), new


def _shortened(text: str) -> Iterator[tuple[int, int, str]]:
    """The edits of `_shorten`, asked only where something is stretched."""
    if _THREE.search(text) is None:
        return
    stretches = iter([match.end() for match in _STRETCHED.finditer(text)])
    end = next(stretches, None)
    for match in _REPEAT.finditer(text) if end else ():
        while end is not None and end <= match.start():
            end = next(stretches, None)
        if end is None:
            return
        if end - 4 < match.end() and (new := _shorten(match)) != match.group():
            yield *match.span(), new


def _overlong(text: str) -> bool:
    return max(map(len, text.split()), default=0) > 64


def _plain(chunk: str) -> bool:
    """Whether no step of spelling changes a part of a text that `chunk` lies in, as long as `_settled` holds of the text."""
    stretched = _THREE.search(chunk) is not None and _STRETCHED.search(chunk) is not None
    return not stretched and _MAY_BE_LEET.search(chunk) is None and respell.quiet(chunk)


_PLAIN = Memo(_plain)


_CONTROLS = (_step(_CHARACTERS, lambda match: _character(match.group())),)
_FOLDED = (*_CONTROLS, _step(_MARKS, _unmark), _step(_FOREIGN_WORD, _fold))
_MIXED = (*_FOLDED[:-1], _step(_FOREIGN_WORD, _fold_mixed))
_SPELLING: tuple[Step, ...] = (
    _step(_APART, _join, _MAY_BE_APART.search),
    _step(_LEET_WORD, _unleet, _MAY_BE_LEET.search),
    _shortened,
    partial(respell.edits, quiet=_PLAIN.__getitem__),
    _step(_OVERLONG, _break, _overlong),
)


def _characters(text: str) -> tuple[Step, ...]:
    """The steps that come before those of spelling."""
    if text.isascii():
        return () if text.isprintable() else _CONTROLS
    return _MIXED if any(map(_foreign, set(text))) else _FOLDED


def _changed(text: str, steps: Iterable[Step]) -> str:
    for step in steps:
        pieces: list[str] = []
        last = 0
        for begin, end, new in step(text):
            pieces += (text[last:begin], new)
            last = end
        if last:
            text = "".join([*pieces, text[last:]])
    return text


def _settled(text: str) -> bool:
    """Whether no step of spelling changes `text`, told from what was found out about its chunks before."""
    if not all(map(_PLAIN.__getitem__, respell.CHUNK.findall(text))):
        return False
    return _MAY_BE_APART.search(text) is None and _FOUR.search(text) is None and not _overlong(text)


def normalise(text: str) -> str:
    """`text` as the classifier reads it. Total, and linear in the length of the text."""
    text = _changed(text, _characters(text))
    return text if _settled(text) else _changed(text, _SPELLING)


@dataclass(frozen=True, slots=True)
class Normalised:
    """A normalised text; its character i came from the characters `starts[i]` to `ends[i]` (exclusive) of the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The [start, end) of the original that the non-empty [start, end) of `text` came from."""
        return min(self.starts[start:end]), max(self.ends[start:end])


def trace(text: str) -> Normalised:
    """`normalise(text)` with the origin of each character."""
    starts, ends = list(range(len(text))), list(range(1, len(text) + 1))
    current = text
    for step in (*_characters(text), *_SPELLING):
        pieces: list[str] = []
        new_starts: list[int] = []
        new_ends: list[int] = []
        last = 0
        for begin, end, new in step(current):
            pieces += [current[last:begin], new]
            new_starts += starts[last:begin]
            new_ends += ends[last:begin]
            if end - begin == len(new):
                new_starts += starts[begin:end]
                new_ends += ends[begin:end]
            else:
                new_starts += [starts[begin]] * len(new)
                new_ends += [ends[end - 1]] * len(new)
            last = end
        if last:
            current = "".join([*pieces, current[last:]])
            starts, ends = new_starts + starts[last:], new_ends + ends[last:]
    return Normalised(current, starts, ends)


def _digest() -> str:
    patterns = "\n".join(
        p.pattern
        for p in (
            _CHARACTERS,
            _MARKS,
            _FOREIGN_WORD,
            _APART,
            _LEET_WORD,
            _STOP,
            _STRETCHED,
            _REPEAT,
            _OVERLONG,
            _MAY_BE_APART,
            _MAY_BE_LEET,
        )
    )
    tables = (
        f"{VERSION}\n{patterns}\n{sorted(CONFUSABLES.items())}\n{sorted(_LEET.items())}\n{sorted(_DOUBLED)}\n{unicodedata.unidata_version}\n"
        f"{respell.DIGEST}"
    )
    return hashlib.sha256(tables.encode()).hexdigest()[:16]


DIGEST = _digest()
"""Hex SHA-256, shortened, of the version, the patterns and the tables: two normalisers with one digest agree on every text."""
