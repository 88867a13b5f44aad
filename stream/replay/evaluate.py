"""The quality of a run on every label that verdicts speak of, as a whole and by segment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from schemas.policy import Policy
from stream.replay.decisions import thresholds
from stream.replay.quality import Quality, known_of, quality
from stream.replay.record import UNSCORED
from stream.replay.results import Results
from stream.replay.segments import BY_NAME
from stream.replay.verdicts import Verdicts

MAX_NAMES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Quality by label; `segments` holds for each segment, name and label the events flagged and true, flagged and not true,
    and true but not flagged (of those with a verdict). `notes` are sentences on what the verdicts leave open."""

    verdicts: int
    qualities: tuple[Quality, ...]
    notes: tuple[str, ...]
    segments: dict[str, dict[str, dict[str, tuple[int, int, int]]]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "verdicts": self.verdicts,
            "labels": {one.label: one.to_json() for one in self.qualities},
            "segments": {
                segment: {
                    name: {label: {"hits": hits, "false": wrong, "missed": missed} for label, (hits, wrong, missed) in labels.items()}
                    for name, labels in names.items()
                }
                for segment, names in self.segments.items()
            },
            "notes": list(self.notes),
        }


def evaluate(results: Results, verdicts: Verdicts, policy: Policy) -> Evaluation:
    """How `policy` does on a run, by `verdicts`."""
    review, _ = thresholds(results.manifest.labels, policy)
    qualities, notes = [], []
    for label, threshold in zip(results.manifest.labels, review.tolist(), strict=True):
        known = known_of(results, verdicts, label, threshold)
        if len(known.truth):
            qualities.append(quality(known, threshold))
            notes.extend(_notes(qualities[-1], int((known.scores >= threshold).sum())))
    said = sorted(set(verdicts.by_label) - set(results.manifest.labels))
    if said:
        notes.append(f"verdicts on {', '.join(said)} are left out: the model has no such label")
    if not qualities:
        notes.append("no event of this range has a verdict: nothing can be said of quality")
    if verdicts.unreadable:
        notes.append(f"{verdicts.unreadable} records were no verdicts")
    return Evaluation(
        verdicts=verdicts.count, qualities=tuple(qualities), notes=tuple(notes), segments=_segments(results, verdicts, review.tolist())
    )


def _notes(one: Quality, flagged: int) -> list[str]:
    notes = []
    if not one.positives or one.positives == one.known:
        notes.append(f"{one.label}: all {one.known} verdicts say the same, so recall and the curves mean nothing")
    others = one.known - flagged
    all_flagged, all_others = flagged + one.unknown_flagged, others + one.unknown - one.unknown_flagged
    if all_flagged and all_others and flagged / all_flagged > 3 * others / all_others:
        notes.append(
            f"{one.label}: {flagged / all_flagged:.0%} of the flagged events have a verdict, of the others {others / all_others:.1%}: "
            "recall holds for events with a verdict only, and is lower in truth"
        )
    return notes


def _segments(results: Results, verdicts: Verdicts, review: list[int]) -> dict[str, dict[str, dict[str, tuple[int, int, int]]]]:
    counts = {segment: np.zeros((len(results.names[segment]), len(review), 3), np.int64) for segment in BY_NAME}
    for _, rows in results.chunks():
        for column, (label, threshold) in enumerate(zip(results.manifest.labels, review, strict=True)):
            truth, score = verdicts.truth(label, rows["event"]), rows["scores"][:, column]
            flagged = (score >= threshold) & (score != UNSCORED)
            missed = ~flagged & (score != UNSCORED)
            table = np.stack([flagged & (truth == 1), flagged & (truth == 0), missed & (truth == 1)], axis=1)
            for segment, held in counts.items():
                np.add.at(held[:, column], rows[segment], table)
    found: dict[str, dict[str, dict[str, tuple[int, int, int]]]] = {}
    for segment, held in counts.items():
        order = np.argsort(-held.sum(axis=(1, 2)), kind="stable")[:MAX_NAMES].tolist()
        names = {
            results.names[segment][place]: {
                label: (int(row[0]), int(row[1]), int(row[2]))
                for label, row in zip(results.manifest.labels, held[place].tolist(), strict=True) if any(row)
            }
            for place in order
        }
        found[segment] = {name: labels for name, labels in names.items() if labels}
    return {segment: names for segment, names in found.items() if len(names) > 1}
