"""Rows of anybody's files to records of our contracts: by what the fields are usually called, by `--map` and by `--set`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from string import Formatter
from typing import Any, Self

from schemas.topics import BY_NAME
from stream.errors import UsageError
from stream.rows import Row

ALIASES: dict[str, dict[str, tuple[str, ...]]] = {
    "messages": {
        "id": ("message_id", "comment_id", "post_id"),
        "occurred_at": ("timestamp", "created_at", "datetime", "time", "date"),
        "user_id": ("user", "author_id", "author", "sender"),
        "text": ("body", "content", "message", "comment_text", "comment"),
        "channel_id": ("channel",),
        "lang": ("language",),
    },
    "transactions": {
        "id": ("transaction_id", "tx_id"),
        "occurred_at": ("timestamp", "created_at", "datetime", "tx_datetime", "time", "date"),
        "account_id": ("account", "customer_id", "customer", "user_id", "user", "nameorig"),
        "card_id": ("card", "card_number"),
        "amount_minor": ("amount_cents",),
        "amount": ("tx_amount", "amt"),
        "terminal_id": ("terminal",),
        "merchant_id": ("merchant", "merchant_name"),
        "payee_id": ("payee", "namedest"),
        "country": ("merchant_country",),
        "device_id": ("device",),
    },
    "verdicts": {
        "event_id": ("transaction_id", "message_id"),
        "occurred_at": ("timestamp", "created_at", "datetime", "time", "date"),
    },
}
"""By topic and field: what it is also called, in order of preference. Capitals do not count; spaces, dots and dashes are underscores."""

NO_CURRENCY = "XXX"
"""ISO 4217's code for no currency: what a transaction gets that names none."""
MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Digits after the point by currency where they are not 2 (ISO 4217)."""


MAX_PLANS = 1_000

Plan = tuple[tuple[str, tuple[str, ...]], ...]
"""Field by field, the columns to look into."""


class MappingError(ValueError):
    """A row cannot be mapped; the message names the field and never quotes the row."""


@dataclass(frozen=True, slots=True)
class FieldMap:
    """What the user says: `sources` by field is a column, or a template of columns such as `{Year}-{Month:02} {Time}`; `constants`
    are values by field."""

    sources: Mapping[str, str]
    constants: Mapping[str, str]

    @classmethod
    def parse(cls, maps: Sequence[str] = (), sets: Sequence[str] = ()) -> Self:
        """From `field=column` and `field=value`. Raises `UsageError`."""
        return cls(_pairs("--map", "field=column", maps), _pairs("--set", "field=value", sets))


class Completion:
    """Completes rows of one file for one topic. `now` stands for the time of a row that has none (None: nothing does)."""

    def __init__(self, topic: str, fields: FieldMap, *, file: str, now: datetime | None) -> None:
        self._topic = topic
        self._aliases = ALIASES.get(topic, {})
        self._known = tuple(BY_NAME[topic].payload.model_fields)
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._sources = fields.sources
        self._constants = fields.constants
        self._file = file
        self._now = now

    @property
    def own_time(self) -> bool:
        """Whether a row's own field `occurred_at`, where it has one, is its time."""
        return "occurred_at" not in self._sources and "occurred_at" not in self._constants

    def __call__(self, row: Row) -> dict[str, Any]:
        """The record that `row` stands for. Of a table only known fields are taken, of a JSON line all. Raises `MappingError`."""
        given = row.fields or {}
        record: dict[str, Any] = {} if row.table else {name: value for name, value in given.items() if value is not None}
        for field, columns in self._plan(tuple(given)):
            for column in columns:
                if (value := given[column]) is not None:
                    record[field] = value
                    break
        record.update({field: value for field, source in self._sources.items() if (value := _looked_up(source, given, field)) is not None})
        record.update(self._constants)
        self._fill(record, row.number)
        return record

    def _plan(self, columns: tuple[str, ...]) -> Plan:
        """For each field the columns that may hold it, the likeliest first. The rows of a file mostly have the same columns."""
        plan = self._plans.get(columns)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[columns] = tuple(
                (field, found)
                for field in dict.fromkeys((*self._known, *self._aliases))
                if field not in self._sources and (found := self._holding(field, columns))
            )
        return plan

    def _holding(self, field: str, columns: tuple[str, ...]) -> tuple[str, ...]:
        names = (field, *self._aliases.get(field, ()))
        return tuple(sorted((column for column in columns if _plain(column) in names), key=lambda column: names.index(_plain(column))))

    def _fill(self, record: dict[str, Any], number: int) -> None:
        """What no row has to say: an id, a time, and what the topic's records need besides."""
        record.setdefault("id", f"{self._file}:{number}")
        if self._now is not None:
            record.setdefault("occurred_at", self._now)
        if self._topic == "messages":
            # Each its own writer: better than all of them one.
            record.setdefault("user_id", record["id"])
        elif self._topic == "transactions":
            record.setdefault("currency", NO_CURRENCY)
            amount = record.pop("amount", None)
            if "amount_minor" not in record and amount is not None:
                record["amount_minor"] = minor(amount, str(record["currency"]))
        elif self._topic == "verdicts":
            record.setdefault("source", self._file)
            record.setdefault("label", "fraud")


def minor(amount: object, currency: str) -> int:
    """`amount` in whole units of `currency` (12.5, "$1,234.50") as minor units. Raises `MappingError`."""
    text = "".join(letter for letter in str(amount) if letter in "0123456789.+-eE")
    try:
        units = Decimal(text).scaleb(MINOR_DIGITS.get(currency.upper(), 2))
        return int(units.to_integral_value())
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise MappingError("amount: not a number") from error


def _looked_up(source: str, given: Mapping[str, Any], field: str) -> Any:  # noqa: ANN401 (a field's value)
    if "{" not in source:
        return given.get(source)
    try:
        return source.format_map(given)
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise MappingError(f"{field}: the row does not fill {source!r}") from error


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.strip().lower())


def _pairs(option: str, form: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        field, equals, value = text.partition("=")
        if not (equals and field and value):
            raise UsageError(f"{option} {text!r}: write {form}")
        if option == "--map" and "{" in value:
            _check_template(value)
        pairs[field] = value
    return pairs


def _check_template(template: str) -> None:
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise UsageError(f"--map {template!r}: {error}") from error
    if not all(name and "." not in name and "[" not in name for name in names):
        raise UsageError(f"--map {template!r}: only plain column names in braces")
