"""A finished (or stopped) run as it lies in its folder: its counts, its rows, its flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.errors import UsageError
from stream.mapping import MINOR_DIGITS
from stream.replay import checkpoint
from stream.replay.checkpoint import PartFiles
from stream.replay.request import Manifest
from stream.replay.rows import CHUNK, Rows, map_rows, row_type
from stream.replay.segments import BY_NAME, OTHER
from stream.replay.tally import Tally

Codes = NDArray[np.uint16]


class Chunk(NamedTuple):
    """Rows of one part; a segment's code is the place of its name in `Results.names`."""

    part: int
    rows: Rows


class _Held(NamedTuple):
    """A part up to its checkpoint: codes of its segments' names, rows, bytes of flags."""

    files: PartFiles
    codes: dict[str, Codes]
    rows: int
    flags_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Results:
    """What a run found. `complete` is false when some part was not read to its end."""

    folder: Path
    manifest: Manifest
    tally: Tally
    complete: bool
    names: dict[str, list[str]]
    _parts: tuple[_Held, ...]

    @property
    def count(self) -> int:
        """Rows: events that were scored, or tried."""
        return sum(part.rows for part in self._parts)

    def span(self) -> tuple[int, int] | None:
        """When the first event was and when the last (epoch ms); None where there is none."""
        # Asked several times of a run: from the file as it lies, without the rest of each row.
        kept = [rows["at_ms"] for _, rows in self._mapped() if len(rows)]
        return (min(int(times.min()) for times in kept), max(int(times.max()) for times in kept)) if kept else None

    def minor_in_one(self) -> int:
        """How many minor units one whole unit of the transactions' currency has; as most have where there are several currencies."""
        currencies = list(self.tally.currencies)
        digits = MINOR_DIGITS.get(currencies[0].upper(), 2) if len(currencies) == 1 else 2
        return int(10**digits)

    def chunks(self) -> Iterator[Chunk]:
        """All rows, a bounded number at a time, part by part in the order of the history."""
        for (files, codes, _, _), mapped in self._mapped():
            for first in range(0, len(mapped), CHUNK):
                rows = np.array(mapped[first : first + CHUNK])
                for segment in BY_NAME:
                    rows[segment] = codes[segment][rows[segment]]
                yield Chunk(files.number, rows)

    def _mapped(self) -> Iterator[tuple[_Held, Rows]]:
        """Each part with its rows as they lie in its file."""
        kind = row_type(len(self.manifest.labels), len(self.manifest.against_labels))
        for held in self._parts:
            yield held, map_rows(held.files.rows, kind)[: held.rows]

    def flags(self) -> Iterator[bytes]:
        """The flags as JSON, part by part in the order of the history."""
        for files, _, _, size in self._parts:
            with files.flags.open("rb") as part:
                while part.tell() < size:
                    yield part.readline().rstrip(b"\n")

    def write_flags(self, path: Path) -> None:
        """The flags as JSON lines. Raises `UsageError` when `path` cannot be written."""
        try:
            with path.open("wb") as out:
                out.writelines(flag + b"\n" for flag in self.flags())
        except OSError as error:
            raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def open_results(folder: Path) -> Results:
    """The run in `folder`. Raises `UsageError` when there is none."""
    manifest = Manifest.load(folder)
    kind = row_type(len(manifest.labels), len(manifest.against_labels))
    places: dict[str, dict[str, int]] = {segment: {} for segment in BY_NAME}
    tallies, parts, complete = [], [], True
    for part in manifest.parts:
        files = PartFiles(folder, part.number)
        found = checkpoint.load(files)
        if found is None:
            complete = complete and not part.records
            continue
        complete = complete and found.complete
        tallies.append(found.tally)
        codes = {segment: _merged(places[segment], names) for segment, names in found.segments.names.items()}
        # What lies beyond the checkpoint is left alone: the run may have been killed, or may be going on in another process.
        parts.append(_Held(files, codes, found.rows_bytes // kind.itemsize, found.flags_bytes))
    return Results(
        folder=folder, manifest=manifest, tally=Tally.total(tallies), complete=complete,
        names={segment: list(known) for segment, known in places.items()}, _parts=tuple(parts),
    )


def _merged(known: dict[str, int], names: list[str]) -> Codes:
    """Codes of a part to codes of the whole."""
    room = np.iinfo(np.uint16).max
    return np.array([known.setdefault(name if len(known) < room else OTHER, len(known)) for name in names], np.uint16)
