"""What an agent is: an object with one total method, driven alike by the worker, a replay and a test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from schemas.codec import RawRecord
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from schemas.labels import Kind


class StateKey(NamedTuple):
    """Addresses one value of an agent's state: the partition of the input topic, and the record key within it."""

    partition: int
    key: bytes


class State(Protocol):
    """Read access to an agent's durable state."""

    def get(self, at: StateKey) -> bytes | None:
        """The stored value, or None."""
        ...


class Onward(NamedTuple):
    """A record for another agent: the topic by its name in the table; without a `partition` the key decides."""

    topic: str
    key: bytes | None
    value: bytes
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a batch causes. The driver publishes the flags, the dead letters and what goes `onward`, when all of it is
    acknowledged `closing`, then stores `state`, and only then counts the batch as done. `redelivered` records were already
    applied and caused nothing again. `appended_ms` tells, for flags on events of another topic than the batch's, when an event
    (partition, offset) was appended. `too_late` verdicts were on transactions of longer ago than anybody remembers. A state of no
    more than the header of what was applied means that there is none."""

    flags: Sequence[Flag] = ()
    dead_letters: Sequence[DeadLetter] = ()
    state: Mapping[StateKey, bytes] = field(default_factory=dict)
    redelivered: int = 0
    onward: Sequence[Onward] = ()
    closing: Sequence[Onward] = ()
    appended_ms: Mapping[tuple[int, int], int] | None = None
    too_late: int = 0


class Agent(Protocol):
    """Judges the records of one input topic."""

    @property
    def kind(self) -> Kind:
        """What the agent judges."""
        ...

    @property
    def topic(self) -> str:
        """The input topic, by its name in the table of topics."""
        ...

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What `records` cause. Never raises; a record it cannot judge becomes a dead letter. `at` (now) stamps what
        is published and has no say in any score or decision."""
        ...
