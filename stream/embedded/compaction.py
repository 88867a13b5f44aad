"""Compaction: of each key in the sealed segments only the latest record is kept.

Runs beside the event loop on files that no longer change. A segment's rewritten form replaces it at once, and every
state in between is a log that reads right: what is removed is superseded by a record further on.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from stream.embedded import batch
from stream.embedded.compression import UnreadableBatchError
from stream.embedded.segment import Segment


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to compact: the segments in order, of which those from `cleaned` on hold what is new."""

    segments: tuple[Segment, ...]
    cleaned: int
    segment_bytes: int
    index_interval: int
    max_keys: int
    tombstones_before_ms: int
    """Tombstones older than this, that an earlier run has seen, are dropped."""


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """Segments to take out, the one to put in their place, and the file that holds it until then."""

    old: list[Segment]
    new: Segment
    path: Path


def compact(plan: Plan) -> tuple[list[Rewritten], int]:
    """Rewrites the plan's segments; the offset up to which the log is clean then. Changes no file in place."""
    latest, end = _latest_offsets(plan)
    segments = [segment for segment in plan.segments if segment.base < end]
    rewritten = [_rewrite(group, latest, plan) for group in _groups(segments, plan.segment_bytes)]
    return rewritten, end


def install(rewritten: Rewritten) -> Segment:
    """Puts a rewritten segment in its place on disk; the segments after the first are the caller's to delete."""
    rewritten.old[0].index_path.unlink(missing_ok=True)
    rewritten.path.replace(rewritten.new.path)
    rewritten.new.save_index()
    return rewritten.new


def _latest_offsets(plan: Plan) -> tuple[dict[bytes, int], int]:
    """The last offset of each key in the new segments, up to as many keys as fit in memory, and how far that went."""
    latest: dict[bytes, int] = {}
    end = plan.cleaned
    for segment in plan.segments:
        if segment.end <= plan.cleaned:
            continue
        for view, _ in segment.batches(0):
            for record in _records(view):
                if record.key is not None:
                    latest[record.key] = record.offset
        end = segment.end
        if len(latest) >= plan.max_keys:
            break
    return latest, end


def _records(view: memoryview) -> Iterator[batch.Record]:
    try:
        yield from batch.records(bytes(view))
    except (UnreadableBatchError, IndexError):
        return  # a batch that cannot be looked into stays as it is


def _groups(segments: list[Segment], limit: int) -> list[list[Segment]]:
    """Neighbours that together stay within a segment's size, so that what has become small is merged."""
    numbers, total, number = {}, 0, 0
    for segment in segments:
        if total and total + segment.size > limit:
            number, total = number + 1, 0
        total += segment.size
        numbers[segment.base] = number
    return [list(group) for _, group in groupby(segments, key=lambda segment: numbers[segment.base])]


def _rewrite(group: list[Segment], latest: dict[bytes, int], plan: Plan) -> Rewritten:
    path = group[0].path.with_suffix(".compacted")
    new = Segment(path.parent, group[0].base, index_interval=plan.index_interval)
    with path.open("wb") as file:
        for segment in group:
            for view, _ in segment.batches(0):
                cleaned = _cleaned(view, latest, plan)
                if cleaned:
                    file.write(cleaned)
                    new.note(batch.header_at(cleaned))
        file.flush()
        os.fsync(file.fileno())
    return Rewritten(old=group, new=new, path=path)


def _cleaned(view: memoryview, latest: dict[bytes, int], plan: Plan) -> bytes:
    whole = bytes(view)
    try:
        found = list(batch.records(whole))
    except (UnreadableBatchError, IndexError):
        return whole
    kept = [record for record in found if _stays(record, latest, plan)]
    if len(kept) == len(found):
        return whole
    return batch.keep(whole, kept) if kept else b""


def _stays(record: batch.Record, latest: dict[bytes, int], plan: Plan) -> bool:
    if record.key is None:
        return True
    if latest.get(record.key, record.offset) > record.offset:
        return False
    seen_before = record.offset < plan.cleaned
    return record.value is not None or not seen_before or record.timestamp >= plan.tombstones_before_ms
