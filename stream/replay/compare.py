"""Event by event, what a candidate decides otherwise than what it is compared with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.flag import DECISIONS
from stream.replay.ages import NAMES
from stream.replay.decisions import REVIEW
from stream.replay.expect import Units
from stream.replay.results import Chunk, Results
from stream.replay.rows import Rows
from stream.replay.segments import BANDS_MINOR, BY_NAME, band_name
from stream.replay.sides import Side, aligned
from stream.replay.verdicts import Verdicts

DAY_MS = 86_400_000
EXAMPLES = 8
MAX_GROUPS = 25
"""Groups of a segment that are listed; those that change most come first."""
KINDS = ("newly_flagged", "newly_cleared", "changed")
COLUMNS = ("events", "before", "after", *KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An event that is decided otherwise: where it lies, and its scores. No text, no entity."""

    part: int
    offset: int
    at_ms: int
    event: int
    before: str
    after: str
    scores: dict[str, float]


@dataclass(slots=True, kw_only=True)
class Diff:
    """`newly_flagged` and `newly_cleared` events, and those flagged on both sides whose decision `changed`; `relabelled` ones
    are flagged for other labels. `groups` holds a row of `COLUMNS` for each name of each segment."""

    before: str
    after: str
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    decisions: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    groups: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    reviews: dict[int, list[int]] = field(default_factory=dict)
    """Events for review by day since 1970: before, after."""
    examples: dict[str, list[Example]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What is missing of the side that the candidate is compared with, in words."""
    days: float = 1.0
    """How long the events went on, which figures a day are over."""
    moved: Counter[str] | None = None
    """With verdicts: of the newly flagged (`gained_…`) and newly cleared events (`lost_…`), and of those flagged still that are blocked now
    (`stricter_…`) or no longer (`milder_…`), how many were `true`, `false`, `unknown`."""

    def reviews_a_day(self) -> tuple[float, float]:
        """Events for review on the mean day: before, after."""
        before, after = (sum(row[place] for row in self.reviews.values()) / self.days for place in (0, 1))
        return before, after

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        before, after = self.reviews_a_day()
        return {
            "before": self.before,
            "after": self.after,
            **{kind: self.counts[kind] for kind in (*KINDS, "relabelled", "same")},
            "by_label": {label: dict(counts) for label, counts in self.labels.items()},
            "transitions": dict(self.decisions.most_common()),
            "segments": {
                segment: {name: dict(zip(COLUMNS, row, strict=True)) for name, row in groups.items()}
                for segment, groups in self.groups.items()
            },
            "reviews_per_day": {"before": round(before, 2), "after": round(after, 2)},
            "reviews_by_day": {day_name(day): row for day, row in self.reviews.items()},
            "missing": list(self.notes),
            "moved": None if self.moved is None else dict(self.moved),
        }


def compare(results: Results, before: Side, after: Side, *, verdicts: Verdicts | None = None) -> Diff:
    """What `after` decides otherwise than `before` on the events of a run, and with `verdicts` how often it was right to."""
    seen = Units.over(results.span())
    diff = Diff(before=before.name, after=after.name, notes=before.notes, days=seen.seen_days, moved=None if verdicts is None else Counter())
    names = tuple(dict.fromkeys((*after.labels, *before.labels)))
    groups = {segment: np.zeros((len(results.names[segment]), len(COLUMNS)), np.int64) for segment in BY_NAME}
    groups["band"] = np.zeros((len(BANDS_MINOR), len(COLUMNS)), np.int64)
    groups["account"] = np.zeros((len(NAMES), len(COLUMNS)), np.int64)
    days: dict[int, list[int]] = {}
    for chunk in results.chunks():
        old, new = aligned(before, before.decide(chunk), names), aligned(after, after.decide(chunk), names)
        flagged_before, flagged_after = old.decision > 0, new.decision > 0
        both = flagged_before & flagged_after
        marks = {
            "newly_flagged": ~flagged_before & flagged_after,
            "newly_cleared": flagged_before & ~flagged_after,
            "changed": both & (old.decision != new.decision),
        }
        otherwise = (old.labels != new.labels).any(axis=1)
        diff.counts["flagged_before"] += int(flagged_before.sum())
        diff.counts.update({kind: int(mark.sum()) for kind, mark in marks.items()})
        diff.counts.update({"relabelled": int((both & otherwise).sum()), "same": int(((old.decision == new.decision) & ~otherwise).sum())})
        if diff.moved is not None and verdicts is not None:
            _count_truth(diff.moved, "gained", chunk.rows[marks["newly_flagged"]], new.labels[marks["newly_flagged"]], names, verdicts)
            _count_truth(diff.moved, "lost", chunk.rows[marks["newly_cleared"]], old.labels[marks["newly_cleared"]], names, verdicts)
            for word, mark in (("stricter", new.decision > old.decision), ("milder", new.decision < old.decision)):
                _count_truth(diff.moved, word, chunk.rows[mark & both], (old.labels | new.labels)[mark & both], names, verdicts)
        _count_labels(diff, names, old.labels, new.labels)
        _count_decisions(diff, old.decision, new.decision)
        table = np.stack([np.ones(len(chunk.rows), np.bool_), flagged_before, flagged_after, *marks.values()], axis=1)
        for segment, counts in groups.items():
            np.add.at(counts, chunk.rows[segment], table)
        _count_reviews(days, chunk.rows, old.decision, new.decision)
        for kind, mark in marks.items():
            _sample(diff.examples.setdefault(kind, []), chunk, mark, old.decision, new.decision, results)
    named = {**results.names, "band": [band_name(band) for band in range(len(BANDS_MINOR))], "account": list(NAMES)}
    if results.manifest.kind == "message":
        del groups["band"], groups["account"]
    diff.groups = {segment: _ranked(named[segment], counts) for segment, counts in groups.items()}
    diff.reviews = dict(sorted(days.items()))
    return diff


def day_name(day: int) -> str:
    """The date of a day since 1970, in UTC."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")


def _count_labels(diff: Diff, names: tuple[str, ...], old: NDArray[np.bool_], new: NDArray[np.bool_]) -> None:
    for place, name in enumerate(names):
        was, now = old[:, place], new[:, place]
        if was.any() or now.any():
            diff.labels.setdefault(name, Counter()).update(
                before=int(was.sum()), after=int(now.sum()), newly_flagged=int((~was & now).sum()), newly_cleared=int((was & ~now).sum())
            )


def _count_truth(
    moved: Counter[str], word: str, rows: Rows, flagged: NDArray[np.bool_], names: tuple[str, ...], verdicts: Verdicts
) -> None:
    """A flag is true when a verdict confirms one of its labels, and false when verdicts deny those of which there are any."""
    true, denied = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    for place, name in enumerate(names):
        truth = verdicts.truth(name, rows["event"])
        true |= flagged[:, place] & (truth == 1)
        denied |= flagged[:, place] & (truth == 0)
    moved[f"{word}_true"] += int(true.sum())
    moved[f"{word}_false"] += int((denied & ~true).sum())
    moved[f"{word}_unknown"] += int((~denied & ~true).sum())


def _count_decisions(diff: Diff, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> None:
    size = len(DECISIONS)
    for code, count in enumerate(np.bincount(old.astype(np.int64) * size + new, minlength=size * size).tolist()):
        if count and code // size != code % size:
            diff.decisions[f"{DECISIONS[code // size]} → {DECISIONS[code % size]}"] += count


def _count_reviews(days: dict[int, list[int]], rows: Rows, old: NDArray[np.uint8], new: NDArray[np.uint8]) -> None:
    found, inverse = np.unique(rows["at_ms"] // DAY_MS, return_inverse=True)
    for place, decision in enumerate((old, new)):
        for day, count in zip(found.tolist(), np.bincount(inverse, decision == REVIEW, len(found)).tolist(), strict=True):
            days.setdefault(day, [0, 0])[place] += int(count)


def _sample(
    kept: list[Example], chunk: Chunk, mark: NDArray[np.bool_], old: NDArray[np.uint8], new: NDArray[np.uint8], results: Results
) -> None:
    """Keep those with the smallest digests of their ids: a sample without a preference, the same at every repetition."""
    places = np.flatnonzero(mark)
    places = places[np.argsort(chunk.rows["event"][places], kind="stable")[:EXAMPLES]]
    for place in places.tolist():
        row = chunk.rows[place]
        scores = zip(results.manifest.labels, row["scores"].tolist(), strict=True)
        kept.append(
            Example(
                part=chunk.part, offset=int(row["offset"]), at_ms=int(row["at_ms"]), event=int(row["event"]),
                before=DECISIONS[old[place]], after=DECISIONS[new[place]],
                scores={label: score / 1_000_000 for label, score in scores if score <= 1_000_000},
            )
        )
    kept.sort(key=lambda example: example.event)
    del kept[EXAMPLES:]


def _ranked(names: list[str], counts: NDArray[np.int64]) -> dict[str, list[int]]:
    moved = counts[:, 3:].sum(axis=1)
    order = np.lexsort((-counts[:, 0], -moved))
    return {names[place]: counts[place].tolist() for place in order[:MAX_GROUPS].tolist() if counts[place, 0]}
