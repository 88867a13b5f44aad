"""Files as rows: JSON Lines, CSV and Parquet, a row at a time, whatever their size."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import from_json

from stream.errors import UsageError

STANDARD_INPUT = Path("-")
PARQUET_BATCH = 1_000
HEAD_LINES = 10
"""So many lines of a CSV file are looked at for what no text has, before any of it is used."""
TABLES = frozenset({".csv", ".parquet", ".pq"})


class Row(NamedTuple):
    """Row `number` (from 1) of a file: its `fields`, or `fault` where it has none that can be read. `raw` is the line of a JSON
    Lines file, None for a table; `table` rows have columns, not the fields of a record."""

    number: int
    raw: bytes | None
    fields: dict[str, Any] | None
    fault: str = ""

    @property
    def table(self) -> bool:
        """Whether the row is one of a table."""
        return self.raw is None


def read(path: Path) -> Iterator[Row]:
    """The rows of `path` (`-`: JSON Lines from standard input), told apart by the name's ending. Raises `UsageError`."""
    if not is_table(path):
        return json_lines(path)
    return _csv(path) if path.suffix.lower() == ".csv" else _parquet(path)


def is_table(path: Path) -> bool:
    """Whether `path` is a CSV or Parquet file, going by its name."""
    return path.suffix.lower() in TABLES


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes. Raises `UsageError`."""
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    with file:
        yield file


def json_lines(path: Path) -> Iterator[Row]:
    """The lines of `path` that are not blank."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            raw = line.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf")
            if raw.strip():
                yield parsed(number, raw)


def parsed(number: int, raw: bytes) -> Row:
    """One line, read as a JSON object if it is one."""
    try:
        fields = from_json(raw, allow_inf_nan=False)
    except ValueError:
        return Row(number, raw, None, "not JSON")
    return Row(number, raw, fields) if isinstance(fields, dict) else Row(number, raw, None, "not a JSON object")


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(16 * 1024 * 1024)
    with opened(path) as file:
        try:
            head = list(islice(file, HEAD_LINES))
            if any(b"\0" in line for line in head):
                raise csv.Error("it is binary")
            lines = (line.decode("utf-8-sig" if number == 0 else "utf-8", "replace") for number, line in enumerate(chain(head, file)))
            for number, fields in enumerate(csv.DictReader(lines), start=1):
                yield Row(number, None, {name: value for name, value in fields.items() if name and value not in (None, "")})
        except csv.Error as error:
            raise UsageError(f"{path}: no CSV: {error}") from error


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise UsageError(f"{path}: reading Parquet needs the extra `parquet`: pip install 'flagstream[parquet]'") from error
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from error
    before = 0
    batches = file.iter_batches(batch_size=PARQUET_BATCH)
    with file:
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pa.ArrowException) as error:
                raise UsageError(f"{path}: damaged after row {before}: {str(error).splitlines()[0]}") from error
            if batch is None:
                return
            columns = [_values(column) for column in batch.columns]
            for number, values in enumerate(zip(*columns, strict=True), before + 1):
                given = zip(batch.schema.names, values, strict=True)
                # Not equal to itself: not a number.
                yield Row(number, None, {name: value for name, value in given if value is not None and value == value})
            before += batch.num_rows


def _values(column: Any) -> list[Any]:  # noqa: ANN401 (pyarrow is untyped)
    """The values of a column, None where there is none. Whole numbers without gaps go past pyarrow's scalars, a µs each."""
    import pyarrow as pa

    if pa.types.is_integer(column.type) and not column.null_count:
        found: list[Any] = column.to_numpy(zero_copy_only=False).tolist()
        return found
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # They would come as pandas' own kind of time where that is installed.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    plain: list[Any] = column.to_pylist()
    return plain


