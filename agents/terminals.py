"""The agent that keeps terminals: transactions come to their terminal, are judged by what was known of it at the last closed hour,
and are folded into what is known of it.

It answers from its partition's log alone: the same records in the same order give the same flags, whatever the speed of anything.
A transaction whose hour is not closed yet waits in the state until it is, or until the log says that it waited long enough; then
it is judged without the terminal, and its flag says so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from struct import Struct
from typing import Final

from agents.applied import HEADER_BYTES, Applied, pack
from agents.assess import TERMINAL, Assessor, Case, TransactionScorer
from agents.board import CHUNK, Board, Demand, Inputs, pack_items, unpack_items
from agents.isolation import dead_letter
from agents.protocol import Outcome, State, StateKey
from agents.recent import Recent
from agents.visits import TOPIC, Mark, Ruling, Visit, pack_ruling, read
from models.errors import HistoryError
from models.halves import Halves
from models.history import DAY_MS, HOUR_MS
from models.ledger import VERDICT_HORIZON_MS
from models.standing import CLEARED, FRAUD, UNSEEN, VISIT, News, Standing
from models.terminal import closed_hour
from schemas.codec import Position, RawRecord
from schemas.dead_letter import DeadLetter, retries_of
from schemas.flag import Flag, Mode, Provenance
from schemas.labels import Kind
from schemas.policy import Policy

_BOARD, _TERMINAL, _INDEX, _PARKED, _RULINGS, _DAY = b"b", b"t", b"i", b"p", b"r", b"d"
_SEEN = Struct("<qqHq")
"""Of a transaction: when it took effect, its own time, its partition and offset; the terminal's key follows."""
_PLACE = Struct("<q")
_SLOT = Struct("<qI")
_ID = Struct("<Q")
INDEXED_MS = VERDICT_HORIZON_MS + 15 * DAY_MS
"""How long after a transaction took effect the index knows it. Past the horizon it only serves to say that a verdict came too late."""
FORGOTTEN_AT_ONCE = 4 * CHUNK
"""Transactions that a batch takes out of the index, a chunk more or less: more than it adds, and few enough to be stored with it as a whole."""

Due = tuple[Visit, RawRecord, bytes, int | None]
"""A transaction to judge now: with its record, its terminal's key, and the hour as of which (None: the terminal is not assessed)."""


class TerminalAgent:
    """Judges transactions at their terminals; its state is the terminals of each partition, and the partition's board."""

    kind: Final[Kind] = "transaction"
    topic: Final = TOPIC

    def __init__(
        self, model: TransactionScorer, policy: Policy, state: State, provenance: Provenance, *, inputs: Inputs, wait_s: float,
        tier: str, mode: Mode = "live",
    ) -> None:
        self._halves = Halves(model.features)
        self._assessor = Assessor(model, policy, provenance, tier=tier, mode=mode)
        self._state = state
        self._recent: Recent[Standing] = Recent()
        self._inputs = inputs
        self._wait_ms = int(wait_s * 1000)

    def handle(self, records: Sequence[RawRecord], *, at: datetime) -> Outcome:
        """What `records` cause: flags of the transactions that could be judged, and the new state."""
        work = Work(self._state, self._inputs, self._wait_ms, self._recent)
        letters: list[DeadLetter] = []
        redelivered = 0
        cases: list[tuple[Case, Visit, RawRecord]] = []
        appended_ms: dict[tuple[int, int], int] = {}
        for raw in records:
            found = read(raw.value)
            if found is None:
                letters.append(dead_letter(raw, error_class="Malformed", error_text="no record of this version", at=at))
                continue
            due = work.take(raw, found)
            redelivered += due is None
            for one in due or ():
                visit, own, _, _ = one
                cases.append((self.case(work, one), visit, own))
                appended_ms[visit.at.partition, visit.at.offset] = visit.appended_ms
        strange = "waited, and is no record of this version"
        letters += [dead_letter(raw, error_class="Malformed", error_text=strange, at=at) for raw in work.unreadable]
        flags: list[Flag] = []
        for (_, visit, raw), answer in zip(cases, self._assessor.assess([case for case, _, _ in cases], at=at), strict=True):
            if isinstance(answer, Exception):
                # The letter holds the visit, which people cannot read.
                text = f"cannot be scored; the transaction is {visit.at.topic}/{visit.at.partition}@{visit.at.offset}"
                letters.append(dead_letter(raw, error_class=type(answer).__name__, error_text=text, at=at))
            elif answer is not None:
                flags.append(answer)
        return Outcome(flags, letters, work.writes(), redelivered, appended_ms=appended_ms, too_late=work.too_late)

    def case(self, work: Work, due: Due) -> Case:
        """A transaction with both halves of its features."""
        visit, raw, key, hour_ms = due
        terminal = None if hour_ms is None else work.standing(raw.at.partition, key).at(hour_ms)
        row = self._halves.join(visit.card, self._halves.terminal(visit.entry, terminal))
        return Case(event=visit, row=row, not_assessed=(TERMINAL,) if terminal is None else ())


class Work:
    """The state as one batch leaves it."""

    def __init__(self, state: State, inputs: Inputs, wait_ms: int, recent: Recent[Standing]) -> None:
        self._state = state
        self._recent = recent
        self._inputs = inputs
        self._wait_ms = wait_ms
        self._boards: dict[int, Board] = {}
        self._standings: dict[StateKey, Standing] = {}
        self._values: dict[StateKey, bytes] = {}
        self.too_late = 0
        """Rulings on transactions of longer ago than the horizon."""
        self.unreadable: list[RawRecord] = []
        """What waited in the state, written by another version, and is nothing that this one can read."""

    def take(self, raw: RawRecord, found: Visit | Mark | Ruling) -> list[Due] | None:
        """Fold a record in; the transactions that are to be judged now, each as of its own hour. None: it was applied before."""
        board = self._board(raw.at.partition)
        if board.header.covers(raw):
            return None
        board.header = board.header.after(raw)
        due = self._give_up(raw, board)
        if isinstance(found, Visit):
            due += self._visit(raw, found, board)
        elif isinstance(found, Mark):
            board.note(found)
            ready = board.ready_hour(self._inputs)
            if ready is not None:
                due += self._close(raw.at, board, ready)
        else:
            self._rule(raw, board, found)
        return due

    def _visit(self, raw: RawRecord, visit: Visit, board: Board) -> list[Due]:
        key, partition = raw.key or b"", raw.at.partition
        board.clocks[visit.at.partition] = max(visit.clock_ms, board.clocks.get(visit.at.partition, -1))
        index = StateKey(partition, _INDEX + _ID.pack(visit.entry.id))
        effective_ms = max(visit.clock_ms, board.closed_ms + 1)
        known = self._get(index)
        seen = _SEEN.pack(effective_ms, visit.entry.at_ms, visit.at.partition, visit.at.offset)
        if known and known[_PLACE.size : _SEEN.size] == seen[_PLACE.size :]:
            if not retries_of(raw.headers):
                # The same record of the transactions, published again after a crash: it was judged, or waits.
                return []
            # Out of a dead letter: it was folded in when it could not be scored.
        else:
            self._values[index] = seen + key
            if not known or _SEEN.unpack_from(known)[0] // DAY_MS != effective_ms // DAY_MS:
                self._date(partition, board, effective_ms // DAY_MS, visit.entry.id)
            entry = visit.entry
            self._hear(partition, key, board, News(effective_ms, VISIT, entry.at_ms, entry.id, entry.amount_minor, entry.currency, visit.odd))
        hour_ms = closed_hour(visit.clock_ms)
        if hour_ms <= board.closed_ms:
            return [(visit, raw, key, self._as_of(board, board.closed_ms))]
        demand = board.parked.get(hour_ms)
        if board.ready(hour_ms, visit.appended_ms if demand is None else demand.appended_ms, self._inputs):
            return [*self._close(raw.at, board, hour_ms), (visit, raw, key, self._as_of(board, hour_ms))]
        if hour_ms <= board.gave_up_ms:
            return [(visit, raw, key, None)]
        count, appended_ms, since_ms = demand or Demand(0, visit.appended_ms, raw.timestamp_ms)
        self._append(partition, _PARKED, hour_ms, count, (key, _PLACE.pack(raw.at.offset) + (raw.value or b"")))
        board.parked[hour_ms] = Demand(count + 1, appended_ms, since_ms)
        return []

    def _rule(self, raw: RawRecord, board: Board, ruling: Ruling) -> None:
        partition = raw.at.partition
        effective_ms = max(ruling.known_ms, board.closed_ms + 1)
        board.first_ruling_ms = effective_ms if board.first_ruling_ms is None else min(board.first_ruling_ms, effective_ms)
        if ruling.known_ms <= board.closed_ms:
            # Its hour is over: it counts from the hour that is open.
            self._resolve(partition, board, ruling, effective_ms, board.closed_ms)
            return
        hour_ms = closed_hour(ruling.known_ms + HOUR_MS)
        count = board.rulings.get(hour_ms, 0)
        self._append(partition, _RULINGS, hour_ms, count, (_PLACE.pack(raw.at.offset), pack_ruling(ruling)))
        board.rulings[hour_ms] = count + 1

    def _resolve(self, partition: int, board: Board, ruling: Ruling, effective_ms: int, closed_ms: int) -> None:
        """Tell the terminal of the transaction that was ruled on; others than the keeper of that terminal do not know it."""
        seen = self._get(StateKey(partition, _INDEX + _ID.pack(ruling.tx)))
        if not seen:
            return
        since_ms, at_ms, _, _ = _SEEN.unpack_from(seen)
        if ruling.known_ms - at_ms > VERDICT_HORIZON_MS:
            self.too_late += 1
            return
        if since_ms < effective_ms:
            kind = FRAUD if ruling.fraud else CLEARED
            news = News(effective_ms, kind, at_ms, ruling.tx, ruling.known_ms)
            self._hear(partition, seen[_SEEN.size :], board, news, closed_ms=closed_ms)

    def _close(self, at: Position, board: Board, hour_ms: int) -> list[Due]:
        """Close `hour_ms` and those before it; the transactions that waited for them."""
        before_ms, board.closed_ms = board.closed_ms, hour_ms
        for hour in sorted(hour for hour in board.rulings if hour <= hour_ms):
            for place, value in self._taken(at.partition, _RULINGS, hour, board.rulings.pop(hour)):
                ruling = read(value)
                if isinstance(ruling, Ruling):
                    self._resolve(at.partition, board, ruling, ruling.known_ms, before_ms)
                else:
                    self._refuse(at, place, None, value)
        return self._released(at, board, hour_ms, assessed=True)

    def _give_up(self, raw: RawRecord, board: Board) -> list[Due]:
        """The transactions that have waited too long by the log's own time."""
        def waited(demand: Demand) -> bool:
            return raw.timestamp_ms - demand.since_ms >= self._wait_ms

        # Hours stand in the order in which they were asked for, so the first has waited longest.
        if not board.parked or not waited(next(iter(board.parked.values()))):
            return []
        late = [hour for hour, demand in board.parked.items() if waited(demand)]
        board.gave_up_ms = max(board.gave_up_ms, *late)
        return self._released(raw.at, board, max(late), assessed=False)

    def _released(self, at: Position, board: Board, hour_ms: int, *, assessed: bool) -> list[Due]:
        due: list[Due] = []
        for hour in sorted(hour for hour in board.parked if hour <= hour_ms):
            as_of = self._as_of(board, hour) if assessed else None
            for key, stored in self._taken(at.partition, _PARKED, hour, board.parked.pop(hour).waiting):
                place, value = stored[: _PLACE.size], stored[_PLACE.size :]
                visit = read(value)
                if isinstance(visit, Visit):
                    own = RawRecord(Position(at.topic, at.partition, _PLACE.unpack(place)[0]), key, value, visit.appended_ms)
                    due.append((visit, own, key, as_of))
                else:
                    self._refuse(at, place, key, value)
        return due

    def _refuse(self, at: Position, place: bytes, key: bytes | None, value: bytes) -> None:
        """Note that `value` waited and cannot be read, as the record that it came as: its offset was committed when it was stored, so
        only a dead letter keeps it."""
        # Rulings that an earlier version stored have no place: they take that of the record that ends their wait.
        offset = _PLACE.unpack(place)[0] if len(place) == _PLACE.size else at.offset
        self.unreadable.append(RawRecord(Position(at.topic, at.partition, offset), key, value, self._boards[at.partition].header.timestamp_ms))

    @staticmethod
    def _as_of(board: Board, hour_ms: int) -> int | None:
        return hour_ms if board.knows_terminals(hour_ms) else None

    # The state.

    def writes(self) -> dict[StateKey, bytes]:
        """The new values, behind how far each one's partition was applied; an empty one is deleted."""
        for partition, board in self._boards.items():
            self._forget(partition, board)
        found: dict[StateKey, bytes] = {}
        for at, standing in self._standings.items():
            found[at] = stored = pack(self._header(at), standing.to_bytes())
            self._recent.put(at, stored, standing)
        found.update({at: pack(self._header(at), value) for at, value in self._values.items()})
        found.update({StateKey(partition, _BOARD): board.to_bytes() for partition, board in self._boards.items()})
        return found

    def standing(self, partition: int, key: bytes) -> Standing:
        """What is known of a terminal."""
        at = StateKey(partition, _TERMINAL + key)
        found = self._standings.get(at)
        if found is not None:
            return found
        stored = self._state.get(at)
        if stored is None:
            return UNSEEN
        found = self._recent.get(at, stored)
        if found is not None:
            return found
        try:
            return Standing.from_bytes(stored[HEADER_BYTES:])
        except HistoryError:
            # Written by a version that this one cannot read: the terminal starts anew, which its features show.
            return UNSEEN

    def _hear(self, partition: int, key: bytes, board: Board, news: News, *, closed_ms: int | None = None) -> None:
        before = self.standing(partition, key)
        after = before.hear(news, closed_ms=board.closed_ms if closed_ms is None else closed_ms)
        self._standings[StateKey(partition, _TERMINAL + key)] = after

    def _header(self, at: StateKey) -> Applied:
        return self._boards[at.partition].header

    def _board(self, partition: int) -> Board:
        if partition not in self._boards:
            self._boards[partition] = Board.from_bytes(self._state.get(StateKey(partition, _BOARD)))
        return self._boards[partition]

    def _get(self, at: StateKey) -> bytes | None:
        if at in self._values:
            return self._values[at]
        stored = self._state.get(at)
        return None if stored is None else stored[HEADER_BYTES:]

    def _date(self, partition: int, board: Board, day: int, tx: int) -> None:
        """Note that the index holds `tx`, under the day from which on its age counts."""
        count = board.days.get(day, 0)
        slot = StateKey(partition, _DAY + _SLOT.pack(day, count // CHUNK))
        held = (self._get(slot) or b"") if count % CHUNK else b""
        self._values[slot] = held + _ID.pack(tx)
        board.days[day] = count + 1

    def _forget(self, partition: int, board: Board) -> None:
        """Take transactions that are too old for any verdict out of the index, a few at a time."""
        last_day = (board.closed_ms - INDEXED_MS) // DAY_MS - 1
        forgotten = 0
        while forgotten < FORGOTTEN_AT_ONCE and board.days and (day := min(board.days)) <= last_day:
            number = (board.days[day] - 1) // CHUNK
            forgotten += board.days[day] - number * CHUNK
            slot = StateKey(partition, _DAY + _SLOT.pack(day, number))
            for (tx,) in _ID.iter_unpack(self._get(slot) or b""):
                index = StateKey(partition, _INDEX + _ID.pack(tx))
                seen = self._get(index)
                # An id that was used again since stands under a later day too.
                if seen and _SEEN.unpack_from(seen)[0] // DAY_MS == day:
                    self._values[index] = b""
            self._values[slot] = b""
            if number:
                board.days[day] = number * CHUNK
            else:
                del board.days[day]

    def _append(self, partition: int, kind: bytes, hour_ms: int, count: int, item: tuple[bytes, bytes]) -> None:
        slot = StateKey(partition, kind + _SLOT.pack(hour_ms, count // CHUNK))
        held = (self._get(slot) or b"") if count % CHUNK else b""
        self._values[slot] = held + pack_items([item])

    def _taken(self, partition: int, kind: bytes, hour_ms: int, count: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        for number in range(-(-count // CHUNK)):
            slot = StateKey(partition, kind + _SLOT.pack(hour_ms, number))
            found += unpack_items(self._get(slot) or b"")
            self._values[slot] = b""
        return found
