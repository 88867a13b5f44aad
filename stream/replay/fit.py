"""`flagstream policy fit`: the thresholds that a budget allows, solved on the scores of a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.labels import BY_NAME
from schemas.policy import LabelRule, Policy
from stream.errors import StreamError, UsageError
from stream.replay.budget import Budget, FalsePositives, Money, Recall, Reviews
from stream.replay.decisions import BLOCK, REVIEW, decide_all
from stream.replay.expect import Expectation, Units, ratio
from stream.replay.masses import Masses, masses, positive
from stream.replay.record import MILLION
from stream.replay.results import Results
from stream.replay.verdicts import Verdicts

NEVER = MILLION + 1
"""A threshold beyond every score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A policy with what it promises on the data that it was fitted on, and what to expect of the days to come."""

    policy: Policy
    budgets: tuple[str, ...]
    promises: dict[str, Expectation]
    """By budget."""
    queue: tuple[Expectation, ...]
    busiest_day: int
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "policy": self.policy.name, "digest": self.policy.digest,
            "thresholds": {label: {"review": rule.review, "block": rule.block} for label, rule in self.policy.labels.items()},
            "budgets": {text: promise.to_json() for text, promise in self.promises.items()},
            "queue": {one.name: one.to_json() for one in self.queue},
            "busiest_day": self.busiest_day,
            "notes": list(self.notes),
        }


def fit(results: Results, base: Policy, budgets: Sequence[Budget], *, name: str, verdicts: Verdicts | None = None) -> Fit:
    """The policy with the lowest thresholds that keep within all `budgets` on a run; severities, and labels without a budget,
    are those of `base`. Raises `UsageError` when the run holds nothing, `StreamError` when budgets contradict each other."""
    if not results.count:
        raise UsageError("nothing to fit on: the replay holds no scored event")
    labels = results.manifest.labels
    if len(results.tally.currencies) > 1 and any(isinstance(budget, Money) and budget.miss is None for budget in budgets):
        raise UsageError(f"amounts in {', '.join(sorted(results.tally.currencies))} cannot be added up: say what a miss costs")
    notes: list[str] = []
    bounds: dict[str, int] = {}
    kept: set[str] = set()
    for label in labels:
        mine = [budget for budget in budgets if _concerns(budget, label, base)]
        if mine:
            held = masses(results, label, verdicts)
            bounds[label] = _solve(held, mine, kept, minor_in_one=results.minor_in_one())
            if verdicts is not None and not held.known:
                notes.append(f"{label}: no verdicts; its budget rests on the calibration of the scores alone")
    policy = _with(base, labels, bounds, name=name)
    reviews = next((budget for budget in budgets if isinstance(budget, Reviews)), None)
    units = Units.over(results.span())
    if reviews is not None:
        free = {label: bounds.get(label, 0) for label in labels if label in base.labels and label not in kept}
        policy = _within(results, policy, base, free, reviews, units)
    notes.extend(f"{label}: never flagged" for label in labels if label in base.labels and label not in policy.labels)
    if verdicts is None:
        notes.append("no verdicts were given: false positives and recall are estimated from the calibrated scores")
    promises, queue, busiest = _promise(results, policy, base, budgets, verdicts, units)
    return Fit(
        policy=policy, budgets=tuple(budget.text for budget in budgets), promises=promises, queue=queue, busiest_day=busiest,
        notes=tuple(notes),
    )


def _concerns(budget: Budget, label: str, base: Policy) -> bool:
    """Whether a budget of one label's own is about `label`; one that names none is about every label that has a rule."""
    return not isinstance(budget, Reviews) and (budget.label == label or (budget.label is None and label in base.labels))


def _solve(held: Masses, budgets: Sequence[Budget], kept: set[str], *, minor_in_one: int) -> int:
    """The threshold of one label in millionths."""
    lowest, highest, wanted = 0, NEVER, ""
    for budget in budgets:
        if isinstance(budget, FalsePositives):
            allowed = budget.at_most * held.events / budget.among
            # Descending masses: the first place that is low enough.
            lowest = max(lowest, int(np.argmax(held.false <= allowed)))
        elif isinstance(budget, Recall):
            enough = np.flatnonzero(held.recall() >= budget.at_least)
            highest, wanted = min(highest, int(enough[-1])), budget.text
            kept.add(held.label)
        elif isinstance(budget, Money):
            saved = held.true * budget.miss if budget.miss is not None else held.true_minor / minor_in_one
            if not saved[0]:
                raise UsageError(f"budget {budget.text!r}: messages have no amount; say what a miss costs")
            lowest = max(lowest, int(np.argmax(saved - budget.review * (held.true + held.false))))
    if highest < lowest:
        raise StreamError(
            f"{held.label}: {wanted!r} needs a threshold of at most {highest / MILLION:.4f}, the other budgets one of at least "
            f"{min(lowest, MILLION) / MILLION:.4f}: give one of them up"
        )
    return highest if highest < NEVER else lowest


def _with(base: Policy, labels: Sequence[str], bounds: Mapping[str, int], *, name: str) -> Policy:
    """`base` with the review thresholds `bounds`; blocking starts where it did, but never before review."""
    rules = dict(base.labels)
    for label, bound in bounds.items():
        rule = base.labels.get(label)
        if bound > MILLION:
            rules.pop(label, None)
            continue
        review = bound / MILLION
        block = None if rule is None or rule.block is None else max(rule.block, review)
        rules[label] = LabelRule(review=review, block=block, severity=rule.severity if rule else BY_NAME[label].severity)
    ordered = {label: rules[label] for label in (*labels, *rules) if label in rules}
    return Policy(name=name, labels=ordered, risk=base.risk)


def _within(results: Results, held: Policy, base: Policy, free: Mapping[str, int], budget: Reviews, units: Units) -> Policy:
    """`held` with the labels of `free` at one common threshold, the lowest that keeps to `budget`, or at their own bound if that
    is higher."""
    labels = results.manifest.labels

    def raised(floor: int) -> Policy:
        found = _with(base, labels, {label: max(floor, own) for label, own in free.items()}, name=held.name)
        rules = {**found.labels, **{label: rule for label, rule in held.labels.items() if label not in free}}
        return found.model_copy(update={"labels": {label: rules[label] for label in (*labels, *rules) if label in rules}})

    def fits(floor: int) -> bool:
        candidate = raised(floor)
        decided = (decide_all(chunk.rows["scores"], labels, candidate).decision for chunk in results.chunks())
        return sum(int((decision == REVIEW).sum()) for decision in decided) <= budget.a_day * units.seen_days

    low, high = 0, NEVER
    if not fits(high):
        raise StreamError(f"budget {budget.text!r}: the labels held by other budgets alone exceed it")
    # `high` fits at every step, also where the queue does not shrink evenly because blocked events return to it.
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return raised(high)


def _promise(
    results: Results, policy: Policy, base: Policy, budgets: Sequence[Budget], verdicts: Verdicts | None, units: Units
) -> tuple[dict[str, Expectation], tuple[Expectation, ...], int]:
    labels = results.manifest.labels
    events, reviews, blocks = (np.zeros(units.slots) for _ in range(3))
    true, false, missed, missed_minor = (np.zeros((len(labels), units.slots)) for _ in range(4))
    for _, rows in results.chunks():
        place = units.place(rows["at_ms"])
        decided = decide_all(rows["scores"], labels, policy)
        events += np.bincount(place, minlength=units.slots)
        reviews += np.bincount(place, decided.decision == REVIEW, units.slots)
        blocks += np.bincount(place, decided.decision == BLOCK, units.slots)
        for column, label in enumerate(labels):
            mass, flagged = positive(rows, column, label, verdicts), decided.labels[:, column]
            true[column] += np.bincount(place, mass * flagged, units.slots)
            false[column] += np.bincount(place, (1 - mass) * flagged, units.slots)
            missed[column] += np.bincount(place, mass * ~flagged, units.slots)
            missed_minor[column] += np.bincount(place, mass * ~flagged * rows["amount_minor"], units.slots)
    length = np.zeros(units.slots)
    length[: units.count] = units.unit_ms / 86_400_000
    # The rest of the time seen, so that rates are over all of it.
    length[-1] = max(0.0, units.seen_days - float(length.sum()))
    promises: dict[str, Expectation] = {}
    for budget in budgets:
        if isinstance(budget, Reviews):
            promises[budget.text] = ratio("reviews a day", reviews, length, units)
        elif isinstance(budget, Recall):
            column = labels.index(budget.label)
            promises[budget.text] = ratio(f"recall on {budget.label}", true[column], true[column] + missed[column], units, share=True)
        elif isinstance(budget, FalsePositives):
            for column, label in enumerate(labels):
                if budget.label == label or (budget.label is None and label in policy.labels):
                    text = budget.text if budget.label else f"{budget.text} on {label}"
                    name = f"false positives on {label} in {budget.among:,}"
                    promises[text] = ratio(name, false[column], events / budget.among, units)
        elif isinstance(budget, Money):
            mine = [column for column, label in enumerate(labels) if budget.label in (None, label) and (budget.label or label in base.labels)]
            losses = missed_minor / results.minor_in_one() if budget.miss is None else missed * budget.miss
            cost = (budget.review * (true + false) + losses)[mine].sum(axis=0)
            lost = float(missed[mine].sum())
            one = max(budget.review, budget.miss if budget.miss is not None else float(losses[mine].sum()) / lost if lost else 0.0)
            promises[budget.text] = ratio(f"cost a day{f' on {budget.label}' if budget.label else ''}", cost, length, units, one=one)
    queue = (
        ratio("reviews a day", reviews, length, units), ratio("blocks a day", blocks, length, units),
        ratio("reviews in 10,000 events", reviews, events / 10_000, units),
    )
    busiest = int(reviews.max()) if units.unit_ms == 86_400_000 else int(reviews.sum())
    return promises, queue, busiest
