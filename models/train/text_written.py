"""Texts written for this project, in JSON Lines: natural ones, each with all of its labels, where the data sets know one harm at most."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelError
from models.train.text_families import Split
from models.train.text_sources import HEADS, NO, YES, Cells
from models.train.text_templates import fill

FOLDER = Path(__file__).parent / "written"
_ABUSIVE = frozenset(("harassment", "hate", "threat"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A text as it was written, with `{G}`, `{person}` and `{name}` still open, and what it decides for every head."""

    topic: str
    text: str
    cells: Cells
    split: Split

    def filled(self, count: int, *, seed: int) -> tuple[str, ...]:
        """The text with its slots filled, in `count` different ways at most."""
        if not _SLOT.search(self.text):
            return (self.text,)
        rng = random.Random(f"{seed} {self.text}")
        return tuple(dict.fromkeys(fill(self.text, rng) for _ in range(count)))


_SLOT = re.compile(r"\{\w+\}")


def written(folder: Path = FOLDER) -> Iterator[Written]:
    """All texts of the folder: one block of ten lines in twelve is for validation, since neighbours are often twins with another label; files
    named `test-…` are for testing alone. Raises `ModelError`."""
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            try:
                yield _read(file.stem, number, json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ModelError(f"{file}:{number}: {error}") from error


def _read(topic: str, number: int, row: dict[str, object]) -> Written:
    text, labels, unsure = str(row["text"]), row["labels"], row.get("unsure", [])
    if not isinstance(labels, list) or not isinstance(unsure, list) or {*labels, *unsure} - set(HEADS):
        raise ValueError(f"labels and unsure are lists of {', '.join(HEADS)}")
    return Written(topic=topic, text=text, cells=cells(frozenset(labels), frozenset(unsure)), split=_split(topic, number))


def cells(labels: frozenset[str], unsure: frozenset[str]) -> Cells:
    """What somebody says who looked for every harm: a head that is neither named nor unsure is absent."""
    found: Cells = {head: YES if head in labels else NO for head in HEADS[:-1] if head not in unsure - labels}
    # What is obscene or about sex may be toxic or not.
    if labels & _ABUSIVE:
        found["toxic"] = YES
    elif not (labels | unsure) & {*_ABUSIVE, "profanity", "sexual"}:
        found["toxic"] = NO
    return found


def _split(topic: str, number: int) -> Split:
    if topic.startswith("test-"):
        return "test"
    return "valid" if number // 10 % 12 == 7 else "train"
