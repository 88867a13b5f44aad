"""What the keeper of a partition of terminals knows besides them: how far its inputs are, which hour is closed, and what waits.

An hour is named by its last millisecond. It closes when every partition of the transactions is past it, or was read to what
had been appended when the first transaction asked for it; and when verdicts were read that far."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from struct import Struct
from typing import Any, NamedTuple, Self

from pydantic_core import from_json, to_json

from agents.applied import HEADER_BYTES, NOTHING, Applied, applied, pack
from agents.visits import TRANSACTIONS, UNKNOWN, Mark

CHUNK = 64
"""Waiting transactions or rulings that are stored as one value."""
_LENGTHS = Struct("<HI")


class Inputs(NamedTuple):
    """Partitions of the two inputs: so many channels must be heard of."""

    transactions: int
    verdicts: int


class Demand(NamedTuple):
    """Transactions that wait for an hour: how many; when the record of the first was appended, and when it came here."""

    waiting: int
    appended_ms: int
    since_ms: int


@dataclass(slots=True)
class Board:
    """The state of one partition apart from its terminals; hours are by their last millisecond."""

    header: Applied = NOTHING
    clocks: dict[int, int] = field(default_factory=dict)
    complete: dict[int, int] = field(default_factory=dict)
    verdicts: dict[int, int] = field(default_factory=dict)
    closed_ms: int = UNKNOWN
    gave_up_ms: int = UNKNOWN
    """The latest hour that was not waited for any longer."""
    first_ruling_ms: int | None = None
    parked: dict[int, Demand] = field(default_factory=dict)
    rulings: dict[int, int] = field(default_factory=dict)
    """How many wait for an hour."""
    days: dict[int, int] = field(default_factory=dict)
    """How many transactions took effect on a day (since 1970) and are in the index by transaction."""

    def note(self, mark: Mark) -> None:
        """Take `mark` in."""
        complete = self.complete if mark.channel == TRANSACTIONS else self.verdicts
        if mark.channel == TRANSACTIONS:
            self.clocks[mark.partition] = max(mark.clock_ms, self.clocks.get(mark.partition, UNKNOWN))
        complete[mark.partition] = max(mark.complete_ms, complete.get(mark.partition, UNKNOWN))

    def ready(self, hour_ms: int, appended_ms: int, inputs: Inputs) -> bool:
        """Whether `hour_ms` may close for a transaction whose record was appended at `appended_ms`."""
        clocks, complete, verdicts = self.clocks, self.complete, self.verdicts
        return all(
            clocks.get(partition, UNKNOWN) > hour_ms or complete.get(partition, UNKNOWN) >= appended_ms
            for partition in range(inputs.transactions)
        ) and all(verdicts.get(partition, UNKNOWN) >= appended_ms for partition in range(inputs.verdicts))

    def ready_hour(self, inputs: Inputs) -> int | None:
        """The latest hour up to which all that are asked for may close; None where not even the first may."""
        if not self.parked:
            return None
        found, first = None, min(self.parked)
        # On a backlog hundreds of hours wait, and as a rule not even the first is ready: sort only for those that are.
        for hour in sorted(self.parked) if self.ready(first, self.parked[first].appended_ms, inputs) else ():
            if not self.ready(hour, self.parked[hour].appended_ms, inputs):
                break
            found = hour
        return found

    def knows_terminals(self, hour_ms: int) -> bool:
        """Whether any verdict was known at `hour_ms`: without one every terminal would seem proven clean."""
        return self.first_ruling_ms is not None and self.first_ruling_ms <= hour_ms

    def to_bytes(self) -> bytes:
        """The header of what was applied, and JSON."""
        content = {name: value for name, value in asdict(self).items() if name != "header"}
        return pack(self.header, to_json(content))

    @classmethod
    def from_bytes(cls, stored: bytes | None) -> Self:
        """The board that `to_bytes` wrote; an empty one where there is none, or one of another version."""
        if stored is None:
            return cls()
        try:
            found: dict[str, Any] = from_json(stored[HEADER_BYTES:])
            # Boards that were written before there were days have none.
            found.setdefault("days", {})
            for name in ("clocks", "complete", "verdicts", "rulings", "days"):
                found[name] = {int(key): int(value) for key, value in found[name].items()}
            found["parked"] = {int(hour): Demand(*demand) for hour, demand in found["parked"].items()}
            return cls(header=applied(stored), **found)
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()


def pack_items(items: list[tuple[bytes, bytes]]) -> bytes:
    """Pairs as one value."""
    return b"".join([_LENGTHS.pack(len(key), len(value)) + key + value for key, value in items])


def unpack_items(raw: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs that `pack_items` put together; what is cut short is left out."""
    found, at = [], 0
    while at + _LENGTHS.size <= len(raw):
        key_bytes, value_bytes = _LENGTHS.unpack_from(raw, at)
        middle = at + _LENGTHS.size + key_bytes
        at = middle + value_bytes
        if at > len(raw):
            break
        found.append((raw[middle - key_bytes : middle], raw[middle:at]))
    return found
