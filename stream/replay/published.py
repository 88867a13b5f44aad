"""The flags that were published, as a side to compare with."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.entry import key64
from schemas.codec import RawRecord, Record, decode
from schemas.flag import DECISIONS, Flag
from schemas.labels import LABELS, Kind
from stream.names import Names
from stream.replay.decisions import Decided
from stream.replay.rows import Rows
from stream.replay.topic import READ, open_topic
from stream.settings import Settings

NAMES = tuple(label.name for label in LABELS)
_BITS = {name: 1 << place for place, name in enumerate(NAMES)}
_CODES: dict[str, int] = {decision: code for code, decision in enumerate(DECISIONS)}
"""A decision that a later version added counts as one that a person should see."""
GONE = "flags of the beginning of the range, which are no longer kept by the broker: what they were on counts as not flagged"
_PLACE = np.dtype([("part", "<i4"), ("offset", "<i8")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The latest published flag of each event, by place and by event; `labels` are bits over `NAMES`."""

    places: NDArray[np.void]
    events: NDArray[np.uint64]
    decisions: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    by_event: bool

    @classmethod
    def of(cls, records: Iterable[list[RawRecord]], *, kind: Kind, topic: str | None) -> Self:
        """The flags among `records` on events of `topic` (None: on events of `kind` wherever they lay, found by their ids).

        Those of an earlier replay are left out."""
        codes = {"part": "i", "offset": "q", "event": "Q", "decision": "B", "labels": "H", "at": "q"}
        columns = {name: array(code) for name, code in codes.items()}
        for batch in records:
            for raw in batch:
                read = decode(Flag, raw)
                if not isinstance(read, Record):
                    continue
                flag = read.body
                if flag.mode == "replay" or flag.kind != kind or (topic is not None and flag.event.topic != topic):
                    continue
                columns["part"].append(flag.event.partition)
                columns["offset"].append(flag.event.offset)
                columns["event"].append(key64(flag.event.id))
                columns["decision"].append(_CODES.get(flag.decision, _CODES["review"]))
                columns["labels"].append(sum(_BITS.get(label.name, 0) for label in flag.labels))
                columns["at"].append(int(flag.flagged_at.timestamp() * 1000))
        events = np.array(columns["event"], np.uint64)
        places = np.zeros(len(events), _PLACE)
        places["part"], places["offset"] = columns["part"], columns["offset"]
        at = np.array(columns["at"], np.int64)
        # Sorted by what is looked up, then by time: the last of equals is the latest.
        order = np.lexsort((at, events)) if topic is None else np.lexsort((at, places["offset"], places["part"]))
        found = events[order] if topic is None else places[order]
        last = np.append(found[1:] != found[:-1], True) if len(found) else np.zeros(0, np.bool_)
        kept = order[last]
        return cls(
            places=places[kept], events=events[kept], by_event=topic is None,
            decisions=np.array(columns["decision"], np.uint8)[kept], labels=np.array(columns["labels"], np.uint16)[kept],
        )

    @property
    def count(self) -> int:
        """Events that a flag was published on."""
        return len(self.events)

    def decided(self, part: int, rows: Rows) -> Decided:
        """What was published on the events of `rows`; `labels` [rows, NAMES]."""
        if self.by_event:
            wanted, known = rows["event"], self.events
        else:
            low, high = (int(np.searchsorted(self.places["part"], part, side)) for side in ("left", "right"))
            wanted, known = rows["offset"], self.places["offset"][low:high]
        first = 0 if self.by_event else low
        if not len(known):
            return Decided(np.zeros(len(rows), np.uint8), np.zeros((len(rows), len(NAMES)), np.bool_))
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        hit = (known[place] == wanted) & (self.events[first + place] == rows["event"])
        decision = np.where(hit, self.decisions[first + place], 0).astype(np.uint8)
        bits = np.where(hit, self.labels[first + place], 0)
        return Decided(decision, (bits[:, None] >> np.arange(len(NAMES)) & 1).astype(np.bool_))


def read_published(settings: Settings, *, kind: Kind, topic: str | None, since_ms: int) -> tuple[Published, tuple[str, ...]]:
    """The published flags, as `Published.of` takes them, and in words which are gone that events from `since_ms` on may have had. Raises
    `UsageError` where there is no topic of flags, `BrokerError`."""
    source = open_topic(settings, Names(settings.prefix).wire("flags"))
    oldest_ms: list[int] = []

    def records() -> Iterator[list[RawRecord]]:
        for part in source.parts:
            for number, batch in enumerate(source.batches(part, size=READ, begin=part.start)):
                if part.start and not number:
                    oldest_ms.append(batch[0].timestamp_ms)
                yield batch

    found = Published.of(records(), kind=kind, topic=topic)
    gone = any(part.start and not part.records for part in source.parts) or any(at_ms > since_ms for at_ms in oldest_ms)
    return found, (GONE,) if gone else ()
