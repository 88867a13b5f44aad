"""Columns of somebody else's file to the fields of our contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stream.errors import UsageError


@dataclass(frozen=True, slots=True)
class Fields:
    """For each of our fields the column that it is taken from, or its constant value. Other columns keep their names."""

    columns: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, words: Iterable[str]) -> Fields:
        """The mapping in words: `id=transaction_id` takes a column, `currency:=EUR` sets a constant. Raises `UsageError`."""
        columns: list[tuple[str, str]] = []
        constants: list[tuple[str, str]] = []
        for word in words:
            field, mark, value = word.partition("=")
            name = field.removesuffix(":").strip()
            if not mark or not name or not value:
                raise UsageError(f"--field {word!r}: not field=column (or field:=constant)")
            (constants if field.endswith(":") else columns).append((name, value))
        return cls(tuple(columns), tuple(constants))

    @property
    def empty(self) -> bool:
        """Nothing is mapped."""
        return not self.columns and not self.constants

    def apply(self, row: Mapping[str, Any], *, number: int) -> dict[str, Any]:
        """Our fields of `row`, without those that are null; an id is made from the row's number where there is none."""
        taken = {column for _, column in self.columns}
        event = {name: value for name, value in row.items() if name not in taken and value is not None}
        event.update((field, row[column]) for field, column in self.columns if row.get(column) is not None)
        event.update(self.constants)
        event.setdefault("id", f"row-{number}")
        return event


def epoch_ms(value: object) -> int | None:
    """The event time in `value` (a datetime, ISO 8601, or epoch seconds or milliseconds) as epoch ms; None where it is none."""
    if isinstance(value, datetime):
        return int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1000)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        # As pydantic reads a number: beyond 2e10 it cannot mean seconds.
        return int(value if abs(value) > 2e10 else value * 1000)
    try:
        return epoch_ms(datetime.fromisoformat(str(value)))
    except (ValueError, OverflowError):
        return None
