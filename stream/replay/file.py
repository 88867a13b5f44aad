"""A JSON Lines, CSV or Parquet file as a source: spread over parts by entity and put in the order of event time, once, on disk."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from string import Formatter
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import PydanticSerializationError, to_json

from schemas.base import EARLIEST, LATEST
from schemas.codec import Position, RawRecord
from schemas.labels import Kind
from schemas.topics import BY_NAME
from stream.errors import UsageError
from stream.mapping import Completion, FieldMap, MappingError
from stream.replay.source import Part
from stream.replay.window import Bound
from stream.rows import read

MAX_COLUMNS = 50
"""Columns that a complaint names."""
PARTS = 8
"""Parts that a file is spread over: enough for the cores of one machine. No result depends on it."""
_PACKED = Struct("<qqIH")
_PLACE = np.dtype([("at_ms", "<i8"), ("start", "<i8"), ("length", "<u4"), ("key", "<u2")])
"""Of `_PACKED`: event time, where the record starts, its length with its key, the key's."""
TOPICS: dict[Kind, str] = {"message": "messages", "transaction": "transactions"}
"""Whose fields a row is completed to."""
_FIRST_MS, _BEYOND_MS = (int(at.timestamp() * 1000) for at in (EARLIEST, LATEST))


class _Line(NamedTuple):
    at_ms: int | None
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file that was staged into `folder`; an offset is a record's place in its part, in the order of event time."""

    folder: Path
    topic: str
    parts: tuple[Part, ...]
    gaps: tuple[str, ...] = ()

    def batches(self, part: Part, *, size: int, begin: int) -> Iterator[list[RawRecord]]:
        """The records of `part` from `begin` on."""
        places = np.load(self.folder / f"{part.number}.index.npy", mmap_mode="r")
        with (self.folder / f"{part.number}.records").open("rb") as file:
            for first in range(begin, part.end, size):
                batch = []
                for offset, place in enumerate(places[first : min(first + size, part.end)].tolist(), first):
                    at_ms, start, length, key = place
                    file.seek(start)
                    raw = file.read(length)
                    batch.append(RawRecord(Position(self.topic, part.number, offset), raw[:key] or None, raw[key:], at_ms))
                yield batch


def open_file(
    path: Path, kind: Kind, *, folder: Path, fields: FieldMap,
    since: Bound | None = None, until: Bound | None = None, warmup_ms: int | None = None,
) -> FileSource:
    """The file at `path` staged into `folder`, bounded as a topic would be. Raises `UsageError` when it cannot be read."""
    for option, where in (("--since", since), ("--until", until)):
        if where is not None and where.at_ms is None:
            raise UsageError(f"{option}: a file has no offsets; give a time")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{number}.records").open("wb")) for number in range(PARTS)]
        indices = [stack.enter_context((folder / f"{number}.index").open("w+b")) for number in range(PARTS)]
        latest, untimed = 0, 0
        for line in _lines(path, kind, fields):
            number = zlib.crc32(line.key) % PARTS
            # What has no readable time cannot be judged either: it stays beside its neighbour and becomes a dead letter.
            untimed += line.at_ms is None
            latest = latest if line.at_ms is None else max(line.at_ms, 0)
            key, start = line.key[:65_535], files[number].tell()
            files[number].write(key + line.value)
            indices[number].write(_PACKED.pack(latest, start, len(key) + len(line.value), len(key)))
        for file in indices:
            file.flush()
    parts = tuple(_sorted(folder, number, since, until, warmup_ms) for number in range(PARTS))
    if not any(part.records for part in parts):
        raise UsageError(f"{path}: holds no records{_what_is_there(folder) if since or until else ''}")
    if untimed and untimed == sum(part.end for part in parts):
        raise UsageError(f"{path}: no row has a field occurred_at that is a time; map one with --map occurred_at=COLUMN")
    empty = all(part.counted >= part.end for part in parts)
    gaps = (f"all of it: nothing lies{_what_is_there(folder)}, which only rebuilt the histories",) if empty else ()
    return FileSource(folder=folder, topic=path.name[:256], parts=parts, gaps=gaps)


def _what_is_there(folder: Path) -> str:
    """When the records of a staged file were, in words, for whoever asked for a range that has none."""
    times = [place["at_ms"][[0, -1]] for number in range(PARTS) if len(place := np.load(folder / f"{number}.index.npy", mmap_mode="r"))]
    if not times:
        return ""
    first, last = (datetime.fromtimestamp(int(at_ms) / 1000, UTC) for at_ms in (min(one[0] for one in times), max(one[1] for one in times)))
    return f" in that range: its records are of {first:%Y-%m-%d %H:%M:%SZ} to {last:%Y-%m-%d %H:%M:%SZ}"


def _sorted(folder: Path, number: int, since: Bound | None, until: Bound | None, warmup_ms: int | None) -> Part:
    index = folder / f"{number}.index"
    places = np.fromfile(index, _PLACE)
    places = places[np.argsort(places["at_ms"], kind="stable")]
    np.save(folder / f"{number}.index.npy", places)
    index.unlink()
    times = places["at_ms"]

    def place(at_ms: int | None, default: int) -> int:
        return default if at_ms is None else int(np.searchsorted(times, at_ms))

    since_ms, until_ms = (None if where is None else where.at_ms for where in (since, until))
    counted, end = place(since_ms, 0), place(until_ms, len(times))
    start = 0 if warmup_ms is None or since_ms is None else place(since_ms - warmup_ms, 0)
    counted = min(counted, end)
    return Part(number=number, start=min(start, counted), counted=counted, end=end)


def _lines(path: Path, kind: Kind, fields: FieldMap) -> Iterator[_Line]:
    complete = Completion(TOPICS[kind], fields, file=path.name, now=None)
    plain = not fields.sources and not fields.constants
    _check_fields(fields, kind)
    unfilled = dict(fields.sources)
    columns: dict[str, None] = {}
    for row in read(path):
        given = row.fields
        if unfilled and given is not None:
            columns.update(dict.fromkeys(given) if len(columns) < MAX_COLUMNS else {})
            unfilled = {field: source for field, source in unfilled.items() if not _fills(source, given)}
        if given is None:
            yield _Line(None, b"", row.raw or b"")
        elif plain and row.raw is not None and "id" in given and "occurred_at" in given:
            yield _Line(epoch_ms(given["occurred_at"]), _key(given, kind), row.raw)
        else:
            try:
                event = complete(row)
            except MappingError:
                event = given
            at = event.get("occurred_at")
            yield _Line(epoch_ms(at), _key(event, kind), _json(event))
    if unfilled and columns:
        field, source = next(iter(unfilled.items()))
        raise UsageError(f"--map {field}={source}: no row of {path} fills it; its columns are {', '.join(columns)}")


def _check_fields(fields: FieldMap, kind: Kind) -> None:
    known = [name for name in BY_NAME[TOPICS[kind]].payload.model_fields if name != "version"]
    known += ["amount"] if kind == "transaction" else []
    for option, given in (("--map", fields.sources), ("--set", fields.constants)):
        for field in given:
            if field not in known:
                raise UsageError(f"{option} {field}=…: a {kind} has no such field; it has {', '.join(known)}")


def _fills(source: str, given: Mapping[str, Any]) -> bool:
    names = [name for _, name, _, _ in Formatter().parse(source) if name] if "{" in source else [source]
    return all(given.get(name) is not None for name in names)


def epoch_ms(value: object) -> int | None:
    """The event time in `value` (a datetime, ISO 8601, or epoch seconds or milliseconds) as epoch ms, as the contracts read it; None
    where it is none, or lies beyond what they allow."""
    found = _any_ms(value)
    return found if found is not None and _FIRST_MS <= found < _BEYOND_MS else None


def _any_ms(value: object) -> int | None:
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        # As pydantic reads a number: beyond 2e10 it cannot mean seconds.
        return int(value if abs(value) > 2e10 else value * 1000) if isinstance(value, int) or isfinite(value) else None
    text = str(value)
    try:
        return _any_ms(float(text) if text.replace(".", "", 1).isdecimal() else datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _json(event: dict[str, Any]) -> bytes:
    try:
        return to_json(event)
    except PydanticSerializationError:
        # A lone surrogate or a value that JSON has not: the agent will say what is wrong with it.
        return json.dumps(event, default=str).encode()


def _key(event: dict[str, Any], kind: Kind) -> bytes:
    entity = event.get("user_id") if kind == "message" else event.get("card_id") or event.get("account_id")
    return str("" if entity is None else entity).encode("utf-8", "surrogatepass")
