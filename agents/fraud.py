"""The fraud agent: transactions in, flags for those that do not look like their card's holder out.

Of a model that looks at terminals too the agent sees the card's half. It judges by it where a transaction names no
terminal; any other goes on to the agent that keeps its terminal (`agents.terminals`), with that half, and is judged there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from struct import Struct
from typing import Final, NamedTuple, Protocol

from agents.applied import HEADER_BYTES, NOTHING, Applied, applied, pack
from agents.assess import LABEL, TERMINAL, Assessor, Case, TransactionScorer
from agents.isolation import dead_letter
from agents.protocol import Onward, Outcome, State, StateKey
from agents.recent import Recent
from agents.visits import TOPIC, TRANSACTIONS, Mark, Visit, pack_mark, pack_visit
from models.entry import Entry
from models.errors import HistoryError
from models.halves import Halves
from models.history import EMPTY, History
from models.terminal import closed_hour, oddity
from schemas.codec import Malformed, Position, RawRecord, Record, decode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag, Mode, Provenance
from schemas.labels import Kind
from schemas.policy import Policy
from schemas.transaction import Transaction

__all__ = ["CLOCK_SKEW_MS", "LABEL", "FraudAgent", "PlaceRows", "TransactionScorer"]

CLOCK_SKEW_MS = 24 * 60 * 60 * 1000
"""How far a transaction may lie ahead of its own record. A history keeps so many transactions: future ones would fill it."""
CLOCK_KEY = b"\xffclock"
"""Where a partition's clock is stored: no entity has this key, for it is no UTF-8."""
_CLOCK = Struct("<q")


class PlaceRows(Protocol):
    """The terminal's half of rows that were computed beforehand, as a replay does."""

    def of(self, at: Position) -> Sequence[float] | None:
        """All features of the terminal's side of the transaction at `at`, in order; None where the terminal is not assessed."""
        ...


@dataclass(frozen=True, slots=True)
class _Case:
    """A transaction with the card's half of its features, and its card just before it."""

    record: Record[Transaction]
    entry: Entry
    history: History
    card: list[float]


class _Card(NamedTuple):
    """A card's history, and up to where the input was applied to it."""

    header: Applied
    history: History


UNKNOWN_CARD = _Card(NOTHING, EMPTY)


class FraudAgent:
    """Judges transactions. Its state is the history of each card or account, under the key that its transactions share.

    With `terminals`, the number of partitions of the agent that keeps them, transactions that name a terminal are sent there;
    without, they are judged here, with what `places` knows of their terminals."""

    kind: Final[Kind] = "transaction"
    topic: Final = "transactions"

    def __init__(
        self, model: TransactionScorer, policy: Policy, state: State, provenance: Provenance, *, tier: str, mode: Mode = "live",
        terminals: int = 0, places: PlaceRows | None = None,
    ) -> None:
        self._halves = Halves(model.features)
        self._assessor = Assessor(model, policy, provenance, tier=tier, mode=mode)
        self._state = state
        self._recent: Recent[_Card] = Recent()
        self._terminals = terminals if self._halves.terminals else 0
        self._places = places

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What `records` cause: a flag for each transaction that reaches a threshold, its card's new history, a dead letter
        for each fault, and what goes on to the terminals."""
        letters: list[DeadLetter] = []
        moved: dict[StateKey, _Card] = {}
        cases: list[_Case] = []
        clocks = _Clocks(self._state) if self._terminals else None
        onward: list[Onward] = []
        redelivered = 0
        for raw in records:
            read = decode(Transaction, raw)
            if isinstance(read, Malformed):
                letters.append(dead_letter(raw, error_class="Malformed", error_text=read.reason, at=at))
                continue
            if (late := _ahead_of_its_record(read)) is not None:
                letters.append(dead_letter(raw, error_class="FromTheFuture", error_text=late, at=at))
                continue
            case = self._remember(read, moved)
            if case is None:
                redelivered += 1
                continue
            if clocks is not None:
                clock_ms = clocks.move(raw, case.entry.at_ms)
                if (place := read.body.place) is not None:
                    onward.append(Onward(TOPIC, place.encode(), pack_visit(self._visit(case, clock_ms))))
                    continue
            cases.append(case)
        flags: list[Flag] = []
        for case, answer in zip(cases, self._assessor.assess([self._whole(case) for case in cases], at=at), strict=True):
            if isinstance(answer, Exception):
                letters.append(dead_letter(case.record.raw, error_class=type(answer).__name__, error_text="cannot be scored", at=at))
            elif answer is not None:
                flags.append(answer)
        writes = self._stored(moved)
        closing = [] if clocks is None else clocks.settle(writes, self._terminals)
        return Outcome(flags, letters, writes, redelivered, onward, closing)

    def _whole(self, case: _Case) -> Case:
        place = None if self._places is None else self._places.of(case.record.raw.at)
        theirs = self._halves.terminal(case.entry, None) if place is None else self._halves.pick(place)
        not_assessed = (TERMINAL,) if place is None and self._halves.terminals else ()
        return Case(event=case.record, row=self._halves.join(case.card, theirs), not_assessed=not_assessed)

    def _visit(self, case: _Case, clock_ms: int) -> Visit:
        body, raw, entry = case.record.body, case.record.raw, case.entry
        odd = oddity(self._halves.over_usual(case.card, case.history, entry))
        return Visit(raw.at, clock_ms, raw.timestamp_ms, body.occurred_at, body.id, body.entity, body.tenant, entry, odd, case.card)

    def _remember(self, record: Record[Transaction], moved: dict[StateKey, _Card]) -> _Case | None:
        """The case of `record`, with its card's history moved on in `moved`. None when that was done before: a history is
        stored only after the flags of its records were acknowledged, and to judge the record again, with a history that
        is ahead of it, could give flags that nobody else would."""
        body, raw = record.body, record.raw
        # The record's key decides its partition, so the state of one entity lives in one place whatever the payload says.
        key = StateKey(raw.at.partition, body.owner.encode())
        header, history = moved.get(key) or self._card(key)
        if header.covers(raw):
            return None
        entry = Entry.of(body)
        case = _Case(record, entry, history, self._halves.card(history, entry))
        moved[key] = _Card(header.after(raw), history.add(entry))
        return case

    def _card(self, key: StateKey) -> _Card:
        """What is stored of a card."""
        stored = self._state.get(key)
        if stored is None:
            return UNKNOWN_CARD
        found = self._recent.get(key, stored)
        if found is None:
            try:
                found = _Card(applied(stored), History.from_bytes(stored[HEADER_BYTES:]))
            except HistoryError:
                # Written by a version that this one cannot read: the card starts anew, which its features show.
                found = UNKNOWN_CARD
        return found

    def _stored(self, moved: dict[StateKey, _Card]) -> dict[StateKey, bytes]:
        """The bytes of the cards that a batch moved on, each written once."""
        writes: dict[StateKey, bytes] = {}
        for key, card in moved.items():
            writes[key] = stored = pack(card.header, card.history.to_bytes())
            self._recent.put(key, stored, card)
        return writes


class _Clocks:
    """The clocks of the partitions of a batch: the greatest event time seen, which is what makes a late transaction late."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._before: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._applied: dict[int, Applied] = {}

    def move(self, raw: RawRecord, at_ms: int) -> int:
        """The clock of the partition of `raw`, whose transaction is of `at_ms`. It never runs ahead of the records' own times."""
        partition = raw.at.partition
        if partition not in self._now:
            stored = self._state.get(StateKey(partition, CLOCK_KEY))
            known = stored is not None and len(stored) == HEADER_BYTES + _CLOCK.size
            self._before[partition] = self._now[partition] = _CLOCK.unpack_from(stored, HEADER_BYTES)[0] if stored and known else -1
            self._applied[partition] = applied(stored) if stored and known else NOTHING
        if raw.timestamp_ms > 0:
            at_ms = min(at_ms, raw.timestamp_ms)
        self._now[partition] = clock_ms = max(self._now[partition], at_ms)
        self._applied[partition] = self._applied[partition].after(raw)
        return clock_ms

    def settle(self, writes: dict[StateKey, bytes], partitions: int) -> list[Onward]:
        """Put the clocks into `writes`; the marks for those that came into another hour."""
        marks = []
        for partition, clock_ms in self._now.items():
            if clock_ms != self._before[partition]:
                writes[StateKey(partition, CLOCK_KEY)] = pack(self._applied[partition], _CLOCK.pack(clock_ms))
            if closed_hour(clock_ms) != closed_hour(self._before[partition]):
                value = pack_mark(Mark(TRANSACTIONS, partition, clock_ms))
                marks += [Onward(TOPIC, None, value, theirs) for theirs in range(partitions)]
        return marks


def _ahead_of_its_record(record: Record[Transaction]) -> str | None:
    """What is wrong with the time of a transaction that lies after its record; None when nothing is."""
    timestamp_ms = record.raw.timestamp_ms
    if timestamp_ms > 0 and record.body.occurred_at.timestamp() * 1000 > timestamp_ms + CLOCK_SKEW_MS:
        return "occurred_at lies more than a day after the time of its record"
    return None
