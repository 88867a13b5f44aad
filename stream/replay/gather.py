"""What the workers of a run have found so far, from the run's own topics into a folder as a replay of this machine leaves it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import numpy as np

from agents.protocol import StateKey
from stream.replay import checkpoint
from stream.replay.ages import Ages
from stream.replay.checkpoint import Checkpoint, PartFiles
from stream.replay.plan import ROWS, Plan, outlets
from stream.replay.rows import row_type
from stream.replay.segments import BY_NAME, Segments
from stream.replay.slices import Slice
from stream.replay.source import Part
from stream.replay.tally import MAX_FAULTS, Tally
from stream.replay.topic import open_topic
from stream.settings import Settings


def gather(settings: Settings, run: str, plan: Plan, folder: Path, *, judged: dict[int, int]) -> None:
    """Write the results of `run` into `folder`; `judged` says how far each part is. Raises `StreamError`."""
    plan.manifest.save(folder)
    source = open_topic(settings, outlets(settings, run).wire(ROWS))
    kind = row_type(len(plan.manifest.labels), 0)
    places = {part.number: part for part in source.parts}
    for part in plan.manifest.parts:
        files = PartFiles(folder, part.number)
        with files.rows.open("wb") as rows, files.flags.open("wb") as flags:
            gathered = _Gathered(part, rows, flags)
            if part.number in places:
                for batch in source.batches(places[part.number], size=64, begin=places[part.number].start):
                    for raw in batch:
                        gathered.add(Slice.from_bytes(raw.value or b"", kind))
            complete = judged.get(part.number, part.start) >= part.end
            tally = gathered.tally
            tally.absent = (part.end if complete else gathered.next) - part.start - gathered.found
            here = Checkpoint(
                next=gathered.next, tally=tally, segments=gathered.segments, rows_bytes=rows.tell(), flags_bytes=flags.tell(), complete=complete,
            )
        checkpoint.save(files, here, [])


class _Gathered:
    """One part, slice by slice. A worker that took over repeats what the one before had not committed: the first counts."""

    def __init__(self, part: Part, rows: BinaryIO, flags: BinaryIO) -> None:
        self._part, self._rows, self._flags = part, rows, flags
        self._ages = Ages()
        self.next, self.found = part.start, 0
        self.tally, self.segments = Tally(), Segments()

    def add(self, one: Slice) -> None:
        """Take in what is new of `one`."""
        self.tally.cpu_s += one.cpu_s
        fresh = one.offsets[one.offsets >= self.next]
        if not len(fresh):
            return
        first, counted = int(fresh[0]), int((fresh >= self._part.counted).sum())
        self.found += len(fresh)
        self.tally.events += counted
        self.tally.warmup += len(fresh) - counted
        seen = one.seen[one.seen["offset"] >= first]
        ages = {
            int(offset): self._ages.seen(StateKey(self._part.number, int(entity).to_bytes(8, "little")), int(at_ms))
            for offset, entity, at_ms in seen.tolist()
        }
        rows = np.array(one.rows[one.rows["offset"] >= first])
        for segment in BY_NAME:
            codes = np.array([self.segments.code(segment, name) for name in one.names[segment]], np.uint16)
            rows[segment] = codes[rows[segment]]
        if ages:
            rows["account"] = [ages[offset] for offset in rows["offset"].tolist()]
        self._rows.write(rows.tobytes())
        self.tally.pay(one.currencies[len(one.rows) - len(rows) :] if one.currencies else ())
        faults = [text for offset, text in one.faults if offset >= first]
        self.tally.dead_letters += len(faults)
        for fault in faults:
            self.tally.faults[fault if fault in self.tally.faults or len(self.tally.faults) < MAX_FAULTS else "other"] += 1
        for offset, flag in one.flags:
            if offset >= first:
                said = json.loads(flag)
                self.tally.flags += 1
                self.tally.decisions[said["decision"]] += 1
                self.tally.by_label.update(Counter(label["name"] for label in said["labels"]))
                self._flags.write(flag + b"\n")
        self.next = int(fresh[-1]) + 1
