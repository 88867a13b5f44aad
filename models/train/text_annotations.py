"""What we say of texts of the data sets, for the harms that their annotators were not asked about. The texts stay where they are: a line
holds a digest of one and its labels."""

from __future__ import annotations

import hashlib
from pathlib import Path

from models.errors import ModelError
from models.train.text_sources import Cells
from models.train.text_written import cells

FILE = Path(__file__).parent / "annotations.tsv"
TEST_FILE = Path(__file__).parent / "annotations-test.tsv"
"""Of texts that are never trained on: of test splits, and of sets that only evaluate."""
CODES = {
    "h": "harassment", "g": "hate", "t": "threat", "s": "sexual", "x": "self_harm", "m": "spam", "c": "scam", "p": "profanity",
}  # fmt: skip
"""The letters of the file; `?` before one: annotators would differ."""


def digest(key: str) -> str:
    """The digest under which a text with the key `key` (see `text_data.key`) is annotated."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def annotated(file: Path = FILE) -> dict[str, Cells]:
    """Cells by digest. Raises `ModelError` for a line that is none."""
    found: dict[str, Cells] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        name, _, codes = line.partition("\t")
        said = [] if codes == "-" else codes.split(",")
        try:
            labels = frozenset(CODES[code] for code in said if not code.startswith("?"))
            unsure = frozenset(CODES[code.removeprefix("?")] for code in said if code.startswith("?"))
        except KeyError as error:
            raise ModelError(f"{file}:{number}: no code {error}; known: {', '.join(CODES)}") from error
        found[name] = cells(labels, unsure)
    return found
