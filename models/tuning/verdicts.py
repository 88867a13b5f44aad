"""A user's verdicts as examples: each line checked, repetitions counted once, contradictions left out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.normalise import normalise
from models.tuning.errors import TuningError
from models.windows import RAW_CHARS
from schemas.labels import BY_NAME, MESSAGE_LABELS

OUTCOMES: Mapping[str, bool] = {"confirmed": True, "overturned": False}
"""Whether a verdict of that outcome says that the label holds."""
MAX_CHARS = 100_000
MAX_EXAMPLES = 200_000

Line = tuple[int, Mapping[str, Any] | None]
"""The number of a line and its fields; None where it is no JSON object."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text, a label, and whether the label holds."""

    text: str
    label: str
    holds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Usable examples in an order that does not depend on the file's; `skipped` counts what was left out, by reason; `digest`
    (hex SHA-256) is that of the examples."""

    examples: tuple[Example, ...]
    lines: int
    skipped: Mapping[str, int]
    digest: str

    def of(self, label: str) -> list[Example]:
        """The examples of one label."""
        return [example for example in self.examples if example.label == label]


def gather(lines: Iterable[Line]) -> Verdicts:
    """The examples in `lines`. Raises `TuningError` for a label that the table of labels does not have: a misspelt one would go
    missing unseen."""
    skipped: Counter[str] = Counter()
    known: dict[tuple[str, str], tuple[Example, set[bool]]] = {}
    count = 0
    for number, fields in lines:
        count += 1
        found = _example(number, fields)
        if isinstance(found, str):
            skipped[found] += 1
            continue
        # Texts that the model cannot tell apart must not stand on both sides of a split.
        key = found.label, hashlib.sha256(normalise(found.text[:RAW_CHARS]).casefold().encode("utf-8", "surrogatepass")).hexdigest()
        if key in known:
            skipped["repeated"] += 1
            known[key][1].add(found.holds)
        elif len(known) >= MAX_EXAMPLES:
            skipped[f"beyond {MAX_EXAMPLES:,} examples"] += 1
        else:
            known[key] = found, {found.holds}
    agreed = {key: example for key, (example, outcomes) in known.items() if len(outcomes) == 1}
    if torn := len(known) - len(agreed):
        skipped["contradicting"] += torn
    digest = hashlib.sha256()
    for label, text in sorted(agreed):
        digest.update(f"{label}\n{text}\n{agreed[label, text].holds}\n".encode())
    examples = tuple(agreed[key] for key in sorted(agreed))
    return Verdicts(examples=examples, lines=count, skipped=dict(skipped), digest=digest.hexdigest())


def _example(number: int, fields: Mapping[str, Any] | None) -> Example | str:
    """The example of a line, or why it is left out. Raises `TuningError` for an unknown label."""
    if fields is None:
        return "not a JSON object"
    text, label, outcome = fields.get("text"), fields.get("label"), fields.get("outcome")
    if not isinstance(text, str) or not isinstance(label, str) or not isinstance(outcome, str):
        return "without text, label and outcome"
    if label not in MESSAGE_LABELS:
        kind = "is no label of messages" if label in BY_NAME else "is no label"
        raise TuningError(f"line {number}: {label[:40]!r} {kind}; known: {', '.join(MESSAGE_LABELS)}")
    if outcome not in OUTCOMES:
        return f"outcome other than {' or '.join(OUTCOMES)}"
    if not text.strip():
        return "empty text"
    if len(text) > MAX_CHARS:
        return f"longer than {MAX_CHARS:,} characters"
    return Example(text, label, OUTCOMES[outcome])
