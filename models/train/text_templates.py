"""Our own short templates for what the data sets hardly contain: both sides of the line, with the same words.

A family states which labels it decides. Templates are split, not sentences: one in five is kept for validation and one in
five for the test, so that a share cleared on them is a share on wordings never trained on."""

from __future__ import annotations

import random
from collections.abc import Iterator

from models.train.text_families import FAMILIES, Family
from models.train.text_terms import GROUPS, PEOPLE, SLOTS

SLOTLESS = frozenset({"self_harm", "self_harm_urged", "self_harm_not"})
"""Families whose wordings mostly have no slots: few sentences, drawn more often."""


def split_of(index: int) -> str:
    """The split of the template at `index` in its family: three of five train, one valid, one test."""
    return ("train", "train", "train", "valid", "test")[index % 5]


def sentences(*, split: str, per_template: int, seed: int) -> Iterator[tuple[str, Family]]:
    """Up to `per_template` different fillings of each template of `split`, with its family."""
    rng = random.Random(seed)
    for family in FAMILIES:
        for index, template in enumerate(family.templates):
            if split_of(index) == split:
                for text in sorted({_fill(template, rng) for _ in range(per_template if "{" in template else 1)}):
                    yield text, family


def _fill(template: str, rng: random.Random) -> str:
    text = template
    for slot, words in {**SLOTS, "G": GROUPS, "person": PEOPLE}.items():
        while "{" + slot + "}" in text:
            text = text.replace("{" + slot + "}", rng.choice(words), 1)
    style = rng.random()
    text = text.replace(" a a", " a a").replace(" a i", " an i").replace(" a e", " an e")
    if style < 0.3:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.3 and text[-1].isalpha():
        text += rng.choice((".", "!", "...", " 😡" if family_is_angry(template) else " 🙂", "!!"))
    return text.upper() if style > 0.96 else text


def family_is_angry(template: str) -> bool:
    """Whether the wording is hostile whatever fills it; only decides which emoji may follow."""
    return "{vile}" in template or "{kill" in template
