"""How far a part got, so that a replay that was stopped goes on where it was.

The JSON file names the sizes of the others, and is replaced last: what is beyond those sizes was written after it and
is cut off on resume."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.protocol import StateKey
from stream.errors import StreamError
from stream.replay.segments import Segments
from stream.replay.tally import Tally

_ITEM = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class PartFiles:
    """The files of one part in the run's folder."""

    folder: Path
    number: int

    @property
    def rows(self) -> Path:
        """Scores, a row an event."""
        return self.folder / f"part-{self.number:05d}.rows"

    @property
    def flags(self) -> Path:
        """Flags, one JSON document a line."""
        return self.folder / f"part-{self.number:05d}.flags.jsonl"

    @property
    def checkpoint(self) -> Path:
        """How far it got."""
        return self.folder / f"part-{self.number:05d}.json"

    def state(self, version: int, side: int) -> Path:
        """The state of one side."""
        return self.folder / f"part-{self.number:05d}.{version}.{side}.state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A part that is done up to offset `next`; `complete` once there is nothing more to read."""

    next: int
    tally: Tally
    segments: Segments
    rows_bytes: int = 0
    flags_bytes: int = 0
    version: int = 0
    complete: bool = False


def load(files: PartFiles) -> Checkpoint | None:
    """The checkpoint of a part; None when it has none. Raises `StreamError` when it is damaged."""
    try:
        found: dict[str, Any] = json.loads(files.checkpoint.read_bytes())
        tally, segments = Tally.from_json(found.pop("tally")), Segments(found.pop("segments"))
        kept = Checkpoint(tally=tally, segments=segments, **found)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StreamError(f"{files.checkpoint}: damaged; start the replay anew, without --resume") from error
    for path, size in ((files.rows, kept.rows_bytes), (files.flags, kept.flags_bytes)):
        if size and (not path.exists() or path.stat().st_size < size):
            raise StreamError(f"{path}: shorter than it was; start the replay anew, without --resume")
    return kept


def save(files: PartFiles, checkpoint: Checkpoint, states: list[dict[StateKey, bytes]]) -> None:
    """Make `checkpoint` the one that a resume finds. The rows and flags must have been flushed."""
    for side, values in enumerate(states):
        write_state(files.state(checkpoint.version, side), values)
    content = {
        "next": checkpoint.next, "tally": checkpoint.tally.to_json(), "segments": checkpoint.segments.names,
        "rows_bytes": checkpoint.rows_bytes, "flags_bytes": checkpoint.flags_bytes,
        "version": checkpoint.version, "complete": checkpoint.complete,
    }
    fresh = files.checkpoint.with_suffix(".new")
    fresh.write_text(json.dumps(content))
    fresh.replace(files.checkpoint)
    for side in range(len(states)):
        files.state(checkpoint.version - 1, side).unlink(missing_ok=True)


def write_state(path: Path, values: dict[StateKey, bytes]) -> None:
    """Store a state."""
    with path.open("wb") as file:
        for at, value in values.items():
            file.write(_ITEM.pack(at.partition, len(at.key), len(value)))
            file.write(at.key)
            file.write(value)


def read_state(path: Path) -> dict[StateKey, bytes]:
    """The state that `write_state` stored. Raises `StreamError` when it is damaged."""
    values: dict[StateKey, bytes] = {}
    try:
        raw = path.read_bytes()
        place = 0
        while place < len(raw):
            partition, key_bytes, value_bytes = _ITEM.unpack_from(raw, place)
            middle = place + _ITEM.size + key_bytes
            place = middle + value_bytes
            if place > len(raw):
                raise ValueError("cut short")
            values[StateKey(partition, raw[middle - key_bytes : middle])] = raw[middle:place]
    except (OSError, struct.error, ValueError) as error:
        raise StreamError(f"{path}: damaged; start the replay anew, without --resume") from error
    return values
