"""What turned out to be true, joined to the events of a run. An event without a verdict is unknown, never negative."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.entry import key64
from schemas.codec import Position, RawRecord, Record, decode
from schemas.topics import BY_NAME
from schemas.verdict import Verdict
from stream.errors import UsageError
from stream.names import Names
from stream.replay.topic import read_all
from stream.settings import Settings

POSITIVE = frozenset({"confirmed", "fraud"})
UNKNOWN = -1
"""Where no verdict is; 1 and 0 are what a verdict says."""
READ_LINES = 4_000

Truth = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _Sorted:
    events: NDArray[np.uint64]
    truth: Truth


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Verdicts:
    """The latest verdict on each event, by label; `count` were read, `unreadable` were no verdicts."""

    by_label: dict[str, _Sorted]
    count: int
    unreadable: int
    known_until_ms: int | None

    @classmethod
    def of(cls, records: Iterable[list[RawRecord]], *, until_ms: int | None = None) -> Self:
        """The verdicts among `records` that were known before `until_ms`. Of several on one event and label the latest counts;
        one that another supersedes counts no more, whatever its label."""
        columns: dict[str, tuple[array[int], array[int], array[int], array[int]]] = {}
        superseded: set[int] = set()
        count = unreadable = 0
        for batch in records:
            for raw in batch:
                read = decode(Verdict, raw)
                if not isinstance(read, Record):
                    unreadable += 1
                    continue
                verdict = read.body
                known_ms = int(verdict.occurred_at.timestamp() * 1000)
                if until_ms is not None and known_ms >= until_ms:
                    continue
                count += 1
                ids, events, at, said = columns.setdefault(verdict.label, (array("Q"), array("Q"), array("q"), array("b")))
                ids.append(key64(verdict.id))
                events.append(key64(verdict.event_id))
                at.append(known_ms)
                said.append(verdict.outcome in POSITIVE)
                if verdict.supersedes is not None:
                    superseded.add(key64(verdict.supersedes))
        gone = np.array(sorted(superseded), np.uint64)
        return cls(
            by_label={label: _latest(*held, gone) for label, held in columns.items()},
            count=count, unreadable=unreadable, known_until_ms=until_ms,
        )

    def truth(self, label: str, events: NDArray[np.uint64]) -> Truth:
        """1, 0 or `UNKNOWN` for each of `events` (digests of their ids)."""
        held = self.by_label.get(label)
        if held is None or not len(held.events):
            return np.full(len(events), UNKNOWN, np.int8)
        place = np.minimum(np.searchsorted(held.events, events), len(held.events) - 1)
        return np.where(held.events[place] == events, held.truth[place], UNKNOWN).astype(np.int8)


def _latest(ids: array[int], events: array[int], at: array[int], said: array[int], gone: NDArray[np.uint64]) -> _Sorted:
    kept = ~np.isin(np.array(ids, np.uint64), gone)
    known, times, truth = (np.array(column)[kept] for column in (events, at, said))
    order = np.lexsort((times, known))
    known, truth = known[order].astype(np.uint64), truth[order].astype(np.int8)
    last = np.append(known[1:] != known[:-1], True) if len(known) else np.zeros(0, np.bool_)
    return _Sorted(known[last], truth[last])


def read_verdicts(settings: Settings, source: str, *, until_ms: int | None = None) -> Verdicts:
    """The verdicts of a JSONL file or a topic. Raises `UsageError` when there is neither, or when no line of it is a verdict."""
    found = Verdicts.of(verdict_records(settings, source), until_ms=until_ms)
    if found.unreadable and not found.count:
        raise UsageError(f"--verdicts {source}: none of its {found.unreadable} records is a verdict")
    return found


def verdict_records(settings: Settings, source: str) -> Iterator[list[RawRecord]]:
    """The records of a JSONL file or a topic. Raises `UsageError` when there is neither."""
    topic = verdict_topic(settings, source)
    return _lines(Path(source)) if topic is None else read_all(settings, topic)


def verdict_topic(settings: Settings, source: str) -> str | None:
    """The name on the wire of the topic that `source` names; None where it is a file. Raises `UsageError` when it can be neither."""
    path = Path(source)
    if path.is_file():
        return None
    if path.suffix in (".jsonl", ".ndjson", ".json") or settings.broker is None:
        raise UsageError(f"--verdicts {source}: no such file")
    return Names(settings.prefix).wire(source) if source in BY_NAME else source


def _lines(path: Path) -> Iterator[list[RawRecord]]:
    with path.open("rb") as file:
        batch: list[RawRecord] = []
        for number, line in enumerate(file):
            if line.strip():
                batch.append(RawRecord(Position(path.name[:256], 0, number), None, line, 0))
            if len(batch) == READ_LINES:
                yield batch
                batch = []
        yield batch
