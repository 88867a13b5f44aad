"""The families of our templates: both sides of the line, with the same words. The wordings stand in `wordings/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_FOLDER = Path(__file__).parent / "wordings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Wordings of one kind, by split; `decides` gives the label's value for each of them, all else is unknown.

    The wordings of `test` were written apart from the others, in another style, and nothing was chosen by them."""

    name: str
    decides: Mapping[str, int]
    wordings: Mapping[Split, tuple[str, ...]]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _read(file: Path) -> tuple[Family, ...]:
    """The families of a file: a table each, with `decides` and one text of lines a split."""
    tables = tomllib.loads(file.read_text("utf-8"))
    return tuple(
        Family(name=name, decides=table["decides"], wordings={split: _lines(table[split]) for split in SPLITS})
        for name, table in tables.items()
    )


FAMILIES: tuple[Family, ...] = tuple(
    family for file in sorted(_FOLDER.glob("*.toml")) if file.name != "around.toml" for family in _read(file)
)

AROUND: Mapping[Split, tuple[str, ...]] = {
    split: _lines(text) for split, text in tomllib.loads((_FOLDER / "around.toml").read_text("utf-8"))["around"].items()
}
"""Harmless sentences, by split, that may stand before or after any wording without changing what it says."""
