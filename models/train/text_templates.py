"""Our own short templates for what the data sets hardly contain: both sides of the line, with the same words.

Wordings are split, not sentences, so that a share judged rightly on the test part is a share on wordings never trained on."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from models.train.text_families import AROUND, FAMILIES, Family, Split
from models.train.text_terms import GROUPS, PEOPLE, SLOTS

_WORDS = {**SLOTS, "G": GROUPS, "person": PEOPLE}
_SLOT = re.compile(r"(\b[Aa] )?\{(\w+)\}")
# Written with a vowel, spoken without: a European, a university.
_NO_VOWEL = ("eu", "uni", "use", "one")
_ENDS = (".", "!", "...", "!!", " 😡", " 🙂", " 😂", " lol", " smh", " #truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A filled wording. `share` says how often it is to be drawn beside others: a wording with many fillings is drawn more
    often than one with a single sentence, but each of its sentences less often."""

    text: str
    family: Family
    wording: str
    share: float


def sentences(*, split: Split, per_template: int, seed: int) -> Iterator[Sentence]:
    """Up to `per_template` different fillings of each wording of `split`."""
    rng = random.Random(seed)
    for family in FAMILIES:
        for wording in family.wordings[split]:
            # A wording without slots still varies in its ending, its case and what stands around it.
            count = per_template if "{" in wording else max(1, per_template // 6)
            texts = sorted({_fill(wording, split, rng) for _ in range(count)})
            for text in texts:
                yield Sentence(text=text, family=family, wording=wording, share=len(texts) ** -0.5)


def fill(wording: str, rng: random.Random) -> str:
    """The wording with a word in each of its slots. Raises `KeyError` for an unknown slot."""
    return _SLOT.sub(lambda match: _article(match.group(1) or "", rng.choice(_WORDS[match.group(2)])), wording)


def _fill(wording: str, split: Split, rng: random.Random) -> str:
    text = fill(wording, rng)
    style = rng.random()
    if style < 0.3:
        text = text[0].upper() + text[1:]
    elif style < 0.45:
        text = text.lower().replace("'", "")
    if rng.random() < 0.3 and text[-1].isalpha():
        text += rng.choice(_ENDS)
    if rng.random() < 0.12:
        beside = rng.choice(AROUND[split])
        stop = "" if text[-1] in ".!?" else "."
        text = f"{beside} {text}" if rng.random() < 0.5 else f"{text}{stop} {beside}"
    return text.upper() if style > 0.96 else text


def _article(article: str, word: str) -> str:
    vowel = word[0].lower() in "aeiou" and not word.lower().startswith(_NO_VOWEL)
    return f"{article.strip()}n {word}" if article and vowel else article + word
