"""Budgets in words to constraints on thresholds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.labels import BY_NAME
from stream.errors import UsageError

_NUMBER = r"(\d+(?:\.\d+)?)"
_LABEL = r"(?: on ([a-z_]+))?"
_FALSE = re.compile(rf"{_NUMBER} (?:false positives?|fp) (?:in|per|of) ([\d,_]+){_LABEL}")
_REVIEWS = re.compile(rf"{_NUMBER} reviews? (?:a|per) day")
_RECALL = re.compile(rf"recall (?:of )?(?:at least )?{_NUMBER} on ([a-z_]+)")
_MONEY = re.compile(rf"a review costs {_NUMBER}(?:,? a miss costs {_NUMBER})?{_LABEL}")
FORMS = (
    '"5 false positives in 10000 [on LABEL]", "200 reviews a day", "recall 0.9 on LABEL", '
    '"a review costs 2.50[, a miss costs 40] [on LABEL]"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalsePositives:
    """At most `at_most` wrong flags in `among` events, on `label` (None: on each label)."""

    text: str
    at_most: float
    among: int
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """At most `a_day` events for review, all labels together."""

    text: str
    a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """At least the share `at_least` of what truly is `label` is flagged."""

    text: str
    at_least: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What costs least: each flag costs `review`, each missed event `miss` (None: the amount of the transaction)."""

    text: str
    review: float
    miss: float | None
    label: str | None


Budget = FalsePositives | Reviews | Recall | Money


def parse(words: Iterable[str], labels: tuple[str, ...]) -> tuple[Budget, ...]:
    """The budgets in `words`, for a model with `labels`. Raises `UsageError` showing the forms that are understood."""
    budgets = tuple(_one(" ".join(word.lower().removeprefix("at most ").split())) for word in words)
    if not budgets:
        raise UsageError(f"no budget: give one or more of {FORMS}")
    for budget in budgets:
        label = None if isinstance(budget, Reviews) else budget.label
        if label is not None and label not in labels:
            fault = f"the model has no label {label}" if label in BY_NAME else f"there is no label {label}"
            raise UsageError(f"budget {budget.text!r}: {fault}; it has {', '.join(labels)}")
    if sum(isinstance(budget, Reviews) for budget in budgets) > 1:
        raise UsageError("more than one budget of reviews a day")
    return budgets


def _one(word: str) -> Budget:
    if found := _FALSE.fullmatch(word):
        among = int(re.sub("[,_]", "", found[2]) or 0)
        if among:
            return FalsePositives(text=word, at_most=float(found[1]), among=among, label=found[3])
    if found := _REVIEWS.fullmatch(word):
        return Reviews(text=word, a_day=float(found[1]))
    if (found := _RECALL.fullmatch(word)) and 0 < float(found[1]) <= 1:
        return Recall(text=word, at_least=float(found[1]), label=found[2])
    if found := _MONEY.fullmatch(word):
        return Money(text=word, review=float(found[1]), miss=float(found[2]) if found[2] else None, label=found[3])
    raise UsageError(f"budget {word!r}: not one of {FORMS}")
