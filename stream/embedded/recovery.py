"""What a partition's directory holds when the broker starts: segments made whole, producers' sequences, the first offset.

Files of a partition: `<base>.log` and `<base>.index` (see `segment`), `<end>.producers` (the sequences reached when the
log ended there), `start` (the first offset, if records before it were deleted), `cleaned` (how far compaction has come).
"""

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from stream.embedded.producers import Producers
from stream.embedded.segment import Segment, write_durably
from stream.embedded.settings import BrokerSettings
from stream.eventlog import get_logger

logger = get_logger(__name__)


@dataclass
class Recovered:
    """A partition as found on disk; `segments` are in order and at least one."""

    segments: list[Segment] = field(default_factory=list)
    producers: Producers = field(default_factory=Producers)
    start: int = 0
    cleaned: int = 0


def recover(directory: Path, settings: BrokerSettings, *, now_ms: int) -> Recovered:
    """Reads through what no saved index vouches for, cuts off torn tails, and removes what a crash left half done."""
    index_interval = settings.index_interval_bytes
    directory.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(directory)
    found = Recovered(start=_number(directory / "start"), cleaned=_number(directory / "cleaned"))
    found.producers, counted_to = _load_producers(directory)
    for base in sorted(int(path.stem) for path in directory.glob("*.log")):
        segment = Segment(directory, base, index_interval=index_interval)
        if found.segments and base < found.segments[-1].end:
            segment.delete()  # compaction merged it into its predecessor and was stopped before it could remove it
            continue
        trusted = not settings.verify_all and segment.load_index()
        if not trusted or counted_to < segment.end:
            for header in segment.recover(verify=not trusted):
                if header.last_offset >= counted_to:
                    found.producers.appended(header, header.base_offset, at_ms=now_ms)
            _cut_tail(segment)
        found.segments.append(segment)
    if not found.segments:
        found.segments.append(Segment(directory, found.start, index_interval=index_interval))
    found.start = max(found.start, found.segments[0].base)
    if counted_to > found.segments[-1].end:
        _recount_producers(found, directory, now_ms)
    return found


def _recount_producers(found: Recovered, directory: Path, now_ms: int) -> None:
    """The saved sequences run ahead of a log that lost its end in a power cut: what is in the log counts."""
    found.producers = Producers()
    for saved in directory.glob("*.producers"):
        saved.unlink()
    for segment in found.segments:
        for _, header in segment.batches(0):
            found.producers.appended(header, header.base_offset, at_ms=now_ms)


def _remove_leftovers(directory: Path) -> None:
    for leftover in (*directory.glob("*.new"), *directory.glob("*.compacted")):
        leftover.unlink()
    for index in directory.glob("*.index"):
        if not index.with_suffix(".log").exists():
            index.unlink()


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _cut_tail(segment: Segment) -> None:
    length = segment.path.stat().st_size
    if length > segment.size:
        logger.warning("log.tail_cut", log=str(segment.path), bytes=length - segment.size, end=segment.end)
        os.truncate(segment.path, segment.size)


def _load_producers(directory: Path) -> tuple[Producers, int]:
    """The newest saved state of the producers, and the offset up to which it counts."""
    for path in sorted(directory.glob("*.producers"), reverse=True):
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Producers.load(json.loads(path.read_bytes())), int(path.stem)
    return Producers(), 0


def _save_producers(directory: Path, dumped: list[object], end: int) -> None:
    """Keeps the producers' state as it was when the log ended at `end`, and the one before it."""
    write_durably(directory / f"{end:020d}.producers", json.dumps(dumped).encode())
    for older in sorted(directory.glob("*.producers"))[:-2]:
        older.unlink(missing_ok=True)


def seal(fd: int, segment: Segment, directory: Path, producers: list[object]) -> None:
    """Puts a segment that takes nothing more on the disk, and beside it what makes reading it at start needless."""
    os.fsync(fd)
    os.close(fd)
    try:
        segment.save_index()
        _save_producers(directory, producers, segment.end)
    except FileNotFoundError:
        logger.info("log.seal_skipped", log=str(segment.path))  # the topic was deleted meanwhile
