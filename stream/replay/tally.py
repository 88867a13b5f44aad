"""The counts of a replay, which add up over parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.dead_letter import DeadLetter
from schemas.flag import Flag

MAX_CURRENCIES = 200
OTHER = "other"
MAX_FAULTS = 50
"""Kinds of fault that are told apart."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What happened to the records so far. `events` were read and counted, of which `dead_letters` could not be judged;
    `warmup` ones only rebuilt the state. `absent` offsets held no record: compacted, deleted meanwhile, or marks of transactions."""

    events: int = 0
    warmup: int = 0
    dead_letters: int = 0
    redelivered: int = 0
    absent: int = 0
    flags: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    """Of the transactions that count; empty for messages."""
    cpu_s: float = 0.0

    def count(self, *, events: int, flags: Sequence[Flag], letters: Sequence[DeadLetter], redelivered: int) -> None:
        """Count a batch."""
        self.events += events
        self.redelivered += redelivered
        self.dead_letters += len(letters)
        self.flags += len(flags)
        for flag in flags:
            self.decisions[flag.decision] += 1
            self.by_label.update(label.name for label in flag.labels)
        for letter in letters:
            fault = f"{letter.error_class}: {letter.error_text}"
            self.faults[fault if fault in self.faults or len(self.faults) < MAX_FAULTS else "other"] += 1

    def pay(self, currencies: Iterable[str]) -> None:
        """Count the currencies of a batch."""
        for currency in currencies:
            self.currencies[currency if currency in self.currencies or len(self.currencies) < MAX_CURRENCIES else OTHER] += 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in self._items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Tally:
        """The tally that `to_json` gave."""
        tally = cls()
        for name, value in values.items():
            setattr(tally, name, Counter(value) if isinstance(value, dict) else value)
        return tally

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """The sum."""
        whole = cls()
        for tally in tallies:
            for name, value in tally._items():
                setattr(whole, name, getattr(whole, name) + value)
        return whole

    def _items(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.__slots__]
