"""The latest flags joined with the verdicts on their events: live precision, in bounded memory. Pure; not for several threads at once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import datetime
from sys import intern
from typing import NamedTuple

from schemas.flag import Flag
from schemas.verdict import Verdict
from stream.verdicts.say import POSITIVE, Subject

VERDICTS_AN_EVENT = 16
"""The latest so many of one event are kept."""
EARLY_SHARE = 10
"""Verdicts on events without a flag are kept for a tenth as many events as there are flags."""


class _Said(NamedTuple):
    at: datetime
    label: str
    positive: bool
    supersedes: str | None


class _Event:
    """An event that was flagged: its latest flag, and what was said of it by the id of the verdict."""

    __slots__ = ("flag_id", "labels", "said")

    def __init__(self, flag_id: str, labels: tuple[str, ...]) -> None:
        self.flag_id = flag_id
        self.labels = labels
        self.said: dict[str, _Said] | None = None

    def truth(self) -> dict[str, bool]:
        """What counts of each label of the flag: the latest verdict that no other supersedes."""
        if not self.said:
            return {}
        gone = {one.supersedes for one in self.said.values()}
        standing = sorted((one for own, one in self.said.items() if own not in gone), key=lambda one: one.at)
        return {one.label: one.positive for one in standing if one.label in self.labels}


class Window:
    """The latest `size` flagged events, and the verdicts on them. A flag costs about half a kilobyte."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._events: OrderedDict[str, _Event] = OrderedDict()
        self._by_flag: dict[str, str] = {}
        self._early: OrderedDict[str, dict[str, _Said]] = OrderedDict()
        self._early_size = size // EARLY_SHARE + 1
        self.counts: Counter[tuple[str, bool]] = Counter()
        """Flagged labels of which a verdict says that they were right (True) or wrong."""
        self._label_sets: dict[tuple[str, ...], tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._events)

    @property
    def early(self) -> int:
        """Events with verdicts whose flag is not, or no longer, known."""
        return len(self._early)

    def precision(self) -> dict[str, tuple[float, int]]:
        """By label: the share of verdicts that confirm it, and how many there are. Labels without any are left out."""
        found = {}
        for label in {label for label, _ in self.counts}:
            right, wrong = self.counts[label, True], self.counts[label, False]
            if right + wrong:
                found[label] = right / (right + wrong), right + wrong
        return found

    def subject(self, flag_id: str) -> Subject | None:
        """What the flag of this id is about, if it is one of the latest."""
        event_id = self._by_flag.get(flag_id)
        return None if event_id is None else Subject(event_id, flag_id, self._events[event_id].labels)

    def flag(self, flag: Flag) -> None:
        """Take in a live flag; one of a replay or a shadow says nothing about what is acted on. A later flag on the same event takes
        the earlier one's place, a repetition changes nothing."""
        if flag.mode != "live":
            return
        event_id = flag.event.id
        event = self._events.get(event_id)
        if event is not None and event.flag_id == flag.id:
            return
        labels = tuple(intern(label.name) for label in flag.labels)
        labels = self._label_sets.setdefault(labels, labels) if len(self._label_sets) < 1_000 else labels
        if event is None:
            event = self._events[event_id] = _Event(flag.id, labels)
            event.said = self._early.pop(event_id, None)
        else:
            self._count(event, -1)
            self._by_flag.pop(event.flag_id, None)
            event.flag_id, event.labels = flag.id, labels
            self._events.move_to_end(event_id)
        self._by_flag[flag.id] = event_id
        self._count(event, 1)
        while len(self._events) > self._size:
            _, oldest = self._events.popitem(last=False)
            self._by_flag.pop(oldest.flag_id, None)
            self._count(oldest, -1)

    def verdict(self, verdict: Verdict) -> None:
        """Take in a verdict; a repetition changes nothing."""
        said = _Said(verdict.occurred_at, verdict.label, verdict.outcome in POSITIVE, verdict.supersedes)
        event = self._events.get(verdict.event_id)
        if event is not None:
            self._count(event, -1)
            event.said = _with(event.said or {}, verdict.id, said)
            self._count(event, 1)
            return
        self._early[verdict.event_id] = _with(self._early.pop(verdict.event_id, {}), verdict.id, said)
        if len(self._early) > self._early_size:
            self._early.popitem(last=False)

    def _count(self, event: _Event, sign: int) -> None:
        for label, positive in event.truth().items():
            self.counts[label, positive] += sign


def _with(said: dict[str, _Said], own: str, one: _Said) -> dict[str, _Said]:
    said[own] = one
    while len(said) > VERDICTS_AN_EVENT:
        del said[next(iter(said))]
    return said
