"""The hand-written texts: a template a line, a file for each subject, a folder for what it is (`benign hard harm`).

A line may begin with further labels in brackets (`[profanity] …`), a file's name end in a language (`everyday.de.txt`).
The texts are for demonstrations alone: no model is ever trained, tuned or measured on them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from random import Random
from typing import Literal

from schemas.labels import MESSAGE_LABELS
from stream.traffic.slots import Filler, fillers

Folder = Literal["benign", "hard", "harm"]
FOLDERS: tuple[Folder, ...] = ("benign", "hard", "harm")
_SLOT = re.compile(r"\{(\w*)\}")
_LABELS = re.compile(r"\[([a-z_ ,]+)\] ")


class CorpusError(ValueError):
    """A template that cannot be used: an unknown slot, an unknown label, or nothing in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text with slots, cut into `pieces` (literal text and what fills the slot behind it) and a literal `end`."""

    text: str
    labels: tuple[str, ...]
    pieces: tuple[tuple[str, Filler], ...] = field(repr=False)
    end: str = field(repr=False)

    def fill(self, rng: Random) -> str:
        """The text with every slot filled; "a" before a filled-in vowel becomes "an"."""
        if not self.pieces:
            return self.end
        parts: list[str] = []
        for literal, filler in self.pieces:
            word = filler(rng)
            an = word[0] in "aeiou" and (literal == "a " or literal.endswith(" a "))
            parts += (literal[:-1] + "n " if an else literal, word)
        parts.append(self.end)
        return "".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The templates of one file."""

    name: str
    folder: Folder
    lang: str
    templates: tuple[Template, ...]

    def pick(self, rng: Random) -> Template:
        """Any of the templates, each as likely."""
        return self.templates[int(rng.random() * len(self.templates))]


def parse(line: str, *, labels: tuple[str, ...], known: Mapping[str, Filler]) -> Template:
    """`line` as a template whose labels are `labels` and those it names itself. Raises `CorpusError`."""
    own = _LABELS.match(line)
    if own:
        labels += tuple(name.strip() for name in own[1].split(","))
        line = line[own.end() :]
    unknown = [name for name in labels if name not in MESSAGE_LABELS]
    if unknown:
        raise CorpusError(f"unknown label {unknown[0]!r}; known: {', '.join(MESSAGE_LABELS)}")
    cut = _SLOT.split(line.strip())
    literals, names = cut[::2], cut[1::2]
    for name in names:
        if name not in known:
            raise CorpusError(f"unknown slot {name!r} in {line!r}")
    if not line.strip() or any("{" in literal or "}" in literal for literal in literals):
        raise CorpusError(f"empty, or a stray brace: {line!r}")
    pieces = tuple((literal, known[name]) for literal, name in zip(literals, names, strict=False))
    return Template(text=line.strip(), labels=labels, pieces=pieces, end=literals[-1])


def _read(folder: Folder) -> Iterator[Corpus]:
    files = resources.files("stream.traffic").joinpath("corpus", folder).iterdir()
    for file in sorted(files, key=lambda entry: entry.name):
        if not file.name.endswith(".txt"):
            continue
        name, _, lang = file.name.removesuffix(".txt").partition(".")
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        kept = (line for line in lines if line and not line.startswith("#"))
        labels = (name,) if folder == "harm" else ()
        texts = tuple(parse(line, labels=labels, known=fillers()) for line in kept)
        yield Corpus(name=name, folder=folder, lang=lang or "en", templates=texts)


@cache
def corpora() -> Mapping[Folder, tuple[Corpus, ...]]:
    """All texts, by folder and in the order of their files' names. Raises `CorpusError`."""
    return {folder: tuple(_read(folder)) for folder in FOLDERS}


@cache
def harms() -> Mapping[str, Corpus]:
    """The texts of each harm, by its label."""
    return {corpus.name: corpus for corpus in corpora()["harm"]}
