"""Terminals kept by an agent of their own, fed as a stream would, against one process that folds everything in the order of time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.applied import HEADER_BYTES
from agents.board import Board, Inputs
from agents.fraud import FraudAgent
from agents.protocol import Agent, Onward, Outcome, StateKey
from agents.terminals import INDEXED_MS, TerminalAgent
from agents.verdicts import VerdictAgent
from agents.visits import TOPIC, TRANSACTIONS, VERDICTS, Mark, Ruling, Visit, pack_mark, read
from models.entry import key64
from models.features import FEATURES, Vector, vector
from models.ledger import Ledger, in_time_order
from models.standing import Standing
from schemas.codec import Position, RawHeaders, RawRecord, encode
from schemas.dead_letter import RETRY_HEADER, DeadLetter
from schemas.flag import Flag, Provenance, Reason
from schemas.policy import LabelRule, Policy
from schemas.transaction import Transaction
from schemas.verdict import Verdict

NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)
START = datetime(2020, 1, 1, tzinfo=UTC)
LOADED_MS = 1_600_000_000_000
NAMES = ("amount", "card_count_7d", *(name for name in FEATURES if name.startswith("terminal_")))
PARTITIONS = 3
EVERYTHING = Policy(name="all", labels={"fraud": LabelRule(review=0.0, severity="high")})


class Telling:
    """A model whose score is a digest of its row: another value anywhere is another score."""

    features = NAMES
    vector: Vector = staticmethod(vector(NAMES))

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.array([(crc32(np.ascontiguousarray(row, np.float32).tobytes()) % 10**6) / 10**6 for row in rows], np.float32)

    def reasons(self, row: Sequence[float]) -> tuple[Reason, ...]:
        return (Reason(code="row", text=repr([round(value, 9) for value in row])),)


def payment(number: int, at: datetime, *, card: str, place: str | None, amount: int = 500) -> Transaction:
    return Transaction(
        id=f"t{number}", occurred_at=at, account_id="a", card_id=card, amount_minor=amount, currency="EUR", terminal_id=place
    )


def scene(seed: int, *, transactions: int = 400, days: float = 12, known_within: float = 5) -> tuple[list[Transaction], list[Verdict]]:
    """Payments at a few terminals, and verdicts on some, known hours or up to `known_within` days later; the first is on nothing that was seen."""
    chance = random.Random(seed)
    times = sorted(chance.uniform(0, days) for _ in range(transactions))
    paid = [
        payment(number, START + timedelta(days=at), card=f"c{chance.randrange(9)}", place=f"p{chance.randrange(7)}", amount=chance.randrange(9_999))
        for number, at in enumerate(times)
    ]
    said = [Verdict(id="v", event_id="-", label="fraud", outcome="legitimate", source="test", occurred_at=START - timedelta(days=1))]
    for tx in chance.sample(paid, transactions // 4):
        known = tx.occurred_at + timedelta(days=chance.uniform(0.01, known_within))
        outcome = chance.choice(["fraud", "confirmed", "legitimate"])
        said.append(
            Verdict.model_validate(
                {"id": f"v{tx.id}", "event_id": tx.id, "label": "fraud", "outcome": outcome, "source": "test", "occurred_at": known}
            )
        )
    return paid, said


def folded(paid: Iterable[Transaction], said: Iterable[Verdict]) -> dict[str, list[float]]:
    """The rows that one process finds."""
    ledger = Ledger(vector(NAMES))
    rows = {}
    for event in in_time_order(paid, said):
        if isinstance(event, Verdict):
            ledger.learn(event)
        else:
            rows[event.id] = ledger.see(event)
    return rows


@dataclass
class Stream:
    """The three agents with their logs, in one process; each log is read in batches of any size, and may be read again."""

    chance: random.Random
    batch: tuple[int, ...] = (1, 5, 64)
    wait_s: float = 3600.0
    flags: dict[str, Flag] = field(default_factory=dict)
    states: dict[str, dict[StateKey, bytes]] = field(default_factory=lambda: {"transactions": {}, TOPIC: {}})
    logs: dict[str, list[list[RawRecord]]] = field(default_factory=dict)
    read: dict[tuple[str, int], int] = field(default_factory=dict)
    clock_ms: int = LOADED_MS
    too_late: int = 0
    model: Telling = field(default_factory=Telling)
    letters: list[DeadLetter] = field(default_factory=list)

    def __post_init__(self) -> None:
        model, origin = self.model, Provenance(model="m", policy="p")
        self.agents: dict[str, Agent] = {
            "transactions": FraudAgent(model, EVERYTHING, _Read(self.states["transactions"]), origin, tier="t", terminals=PARTITIONS),
            "verdicts": VerdictAgent(partitions=PARTITIONS),
            TOPIC: TerminalAgent(
                model, EVERYTHING, _Read(self.states[TOPIC]), origin, inputs=Inputs(PARTITIONS, PARTITIONS), wait_s=self.wait_s, tier="t"
            ),
        }
        self.logs = {topic: [[] for _ in range(PARTITIONS)] for topic in self.agents}

    def append(
        self, topic: str, key: bytes | None, value: bytes, partition: int | None = None, *, headers: RawHeaders = ()
    ) -> None:
        number = crc32(key or b"") % PARTITIONS if partition is None else partition
        log = self.logs[topic][number]
        self.clock_ms += 1
        log.append(RawRecord(Position(topic, number, len(log)), key, value, self.clock_ms, headers))

    def load(self, paid: Iterable[Transaction], said: Iterable[Verdict]) -> None:
        for tx in paid:
            self.append("transactions", tx.entity.encode(), encode(tx))
        for verdict in said:
            self.append("verdicts", verdict.event_id.encode(), encode(verdict))

    def send(self, many: Iterable[Onward]) -> None:
        for one in many:
            self.append(one.topic, one.key, one.value, one.partition)

    def lag(self, topic: str) -> list[int]:
        return [number for number, log in enumerate(self.logs[topic]) if self.read.get((topic, number), 0) < len(log)]

    def step(self, topic: str, partition: int, *, crash: bool = False) -> None:
        """Hand a batch over. In a crash all that it caused is published, and nothing is stored or acknowledged."""
        start = self.read.get((topic, partition), 0)
        batch = self.logs[topic][partition][start : start + self.chance.choice(self.batch)]
        outcome: Outcome = self.agents[topic].handle(batch, at=NOW)
        assert not outcome.dead_letters or isinstance(self.model, Failing)
        self.letters += outcome.dead_letters
        self.flags.update((flag.event.id, flag) for flag in outcome.flags)
        self.send(outcome.onward)
        self.send(outcome.closing)
        if not crash:
            self.too_late += outcome.too_late
            self.states.get(topic, {}).update(outcome.state)
            self.read[topic, partition] = start + len(batch)

    def tick(self) -> None:
        """Mark the partitions that were read to their ends."""
        for topic, channel in (("transactions", TRANSACTIONS), ("verdicts", VERDICTS)):
            for number in set(range(PARTITIONS)) - set(self.lag(topic)):
                mark = pack_mark(Mark(channel, number, complete_ms=self.clock_ms))
                self.send([Onward(TOPIC, None, mark, theirs) for theirs in range(PARTITIONS)])

    def run(self, *, crashes: float = 0.0, ticks: float = 0.05) -> None:
        """Until everything is read, in any order of the partitions."""
        while places := [(topic, number) for topic in self.logs for number in self.lag(topic)]:
            self.step(*self.chance.choice(places), crash=self.chance.random() < crashes)
            if self.chance.random() < ticks:
                self.tick()
        self.tick()
        while places := [(TOPIC, number) for number in self.lag(TOPIC)]:
            self.step(*self.chance.choice(places))

    def rows(self) -> dict[str, str]:
        return {event: flag.reasons[0].text for event, flag in self.flags.items()}


class _Read:
    def __init__(self, values: dict[StateKey, bytes]) -> None:
        self._values = values

    def get(self, at: StateKey) -> bytes | None:
        return self._values.get(at)


def told(rows: dict[str, list[float]]) -> dict[str, str]:
    return {event: repr([round(value, 9) for value in row]) for event, row in rows.items()}


SEEDS = pytest.mark.parametrize("seed", range(6))


@SEEDS
def test_any_interleaving_gives_the_rows_of_one_process_that_folds_all(seed: int) -> None:
    paid, said = scene(seed)
    random.Random(seed).shuffle(said)
    stream = Stream(random.Random(seed))
    stream.load(paid, said)
    stream.run()
    assert stream.rows() == told(folded(paid, said))
    assert not any(flag.not_assessed for flag in stream.flags.values() if flag.occurred_at > START + timedelta(hours=1))


@SEEDS
def test_what_is_delivered_again_after_a_crash_changes_nothing(seed: int) -> None:
    paid, said = scene(seed, transactions=200)
    stream = Stream(random.Random(seed))
    stream.load(paid, said)
    stream.run(crashes=0.2)
    assert stream.rows() == told(folded(paid, said))


@pytest.mark.parametrize("crashes", [0.0, 0.2])
def test_transactions_are_known_to_verdicts_for_so_long_and_then_forgotten(crashes: float) -> None:
    days = 150
    paid, said = scene(3, days=days, known_within=100)
    stream = Stream(random.Random(3))
    stream.load(paid, said)
    stream.run(crashes=crashes)
    assert stream.rows() == told(folded(paid, said))
    assert stream.too_late > 0
    kept = [at.key[1:] for at, stored in stream.states[TOPIC].items() if at.key[:1] == b"i" and len(stored) > HEADER_BYTES]
    oldest = START + timedelta(days=days) - timedelta(milliseconds=INDEXED_MS) - timedelta(days=14)
    young = {key64(tx.id).to_bytes(8, "little") for tx in paid if tx.occurred_at > oldest}
    assert 0 < len(kept) < len(paid) / 1.5
    assert set(kept) <= young
    assert {key64(tx.id).to_bytes(8, "little") for tx in paid[-50:]} <= set(kept)


def test_a_board_of_before_there_were_days_is_read() -> None:
    board = Board(clocks={1: 5}, closed_ms=7)
    older = board.to_bytes().replace(b',"days":{}', b"")
    assert b"days" not in older
    assert Board.from_bytes(older) == board


def test_only_so_long_is_an_hour_waited_for_and_then_the_flag_says_what_was_not_assessed() -> None:
    stream = Stream(random.Random(1), wait_s=10.0)
    paid = [payment(1, START, card="c", place="p"), payment(2, START + timedelta(hours=2), card="c", place="p")]
    stream.load(paid, [])
    for _ in range(9):
        for number in stream.lag("transactions"):
            stream.step("transactions", number)
        for number in stream.lag(TOPIC):
            stream.step(TOPIC, number)
    assert not stream.flags, "nothing is known of the other partitions and of verdicts"
    stream.clock_ms += 10_000
    stream.send([Onward(TOPIC, None, pack_mark(Mark(TRANSACTIONS, 0)), theirs) for theirs in range(PARTITIONS)])
    for number in stream.lag(TOPIC):
        stream.step(TOPIC, number)
    assert {flag.event.id: flag.not_assessed for flag in stream.flags.values()} == {"t1": ("terminal",), "t2": ("terminal",)}


def test_a_transaction_that_names_no_terminal_is_judged_at_once() -> None:
    stream = Stream(random.Random(1))
    stream.load([payment(1, START, card="c", place=None)], [])
    stream.step("transactions", *stream.lag("transactions"))
    assert [(flag.event.id, flag.not_assessed) for flag in stream.flags.values()] == [("t1", ("terminal",))]


class Failing(Telling):
    """Cannot score the amount 666 while it is `broken`."""

    broken = True

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.broken and (rows[:, NAMES.index("amount")] == np.float32(6.66)).any():
            raise ArithmeticError
        return super().score(rows)


def test_a_transaction_that_cannot_be_scored_at_its_terminal_is_judged_when_its_letter_is_sent_again() -> None:
    model = Failing()
    stream = Stream(random.Random(1), batch=(64,), model=model)
    hours = [payment(n, START + timedelta(hours=n), card="c", place="p", amount=666 if n == 3 else 500) for n in range(6)]
    _, said = scene(1)
    stream.load(hours, said[:1])
    stream.run()
    (letter,) = stream.letters
    (source,) = [raw for log in stream.logs["transactions"] for raw in log if raw.value == encode(hours[3])]
    (visit,) = [raw for log in stream.logs[TOPIC] for raw in log if raw.at[1:] == (letter.partition, letter.offset)]
    assert (letter.topic, letter.key, letter.value) == (TOPIC, visit.key, visit.value)
    assert letter.error_text == f"cannot be scored; the transaction is transactions/{source.at.partition}@{source.at.offset}"
    assert set(stream.flags) == {"t0", "t1", "t2", "t4", "t5"}

    model.broken = False
    before = _standings(stream)
    stream.append(TOPIC, letter.key, letter.value or b"", letter.partition)
    stream.run()
    assert "t3" not in stream.flags, "a visit that was published twice was judged before"
    stream.append(TOPIC, letter.key, letter.value or b"", letter.partition, headers=((RETRY_HEADER, b"1"),))
    stream.run()
    assert (stream.flags["t3"].event.offset, stream.flags["t3"].event.topic) == (source.at.offset, "transactions")
    assert _standings(stream) == before, "it was folded in already"


def _standings(stream: Stream) -> dict[StateKey, bytes]:
    return {at: value[HEADER_BYTES:] for at, value in stream.states[TOPIC].items() if at.key[:1] in (b"t", b"i", b"d")}


def test_what_is_no_record_of_a_terminal_is_a_dead_letter_and_no_more() -> None:
    stream = Stream(random.Random(1))
    garbage: list[Callable[[], bytes]] = [lambda: b"", lambda: b"\x01", lambda: b"\x02xx", lambda: b"\xff" * 40, lambda: b"\x01" * 200]
    raws = [RawRecord(Position(TOPIC, 0, number), b"p", make(), LOADED_MS) for number, make in enumerate(garbage)]
    outcome = stream.agents[TOPIC].handle(raws, at=NOW)
    assert [letter.error_class for letter in outcome.dead_letters] == ["Malformed"] * len(garbage)


def waiting(said: Sequence[Verdict], *paid: Transaction) -> Stream:
    """A stream of which everything was read once, and no partition was read to its end: what came waits."""
    model = Failing()
    model.broken = False
    stream = Stream(random.Random(1), batch=(64,), wait_s=10.0, model=model)
    stream.load(paid, said)
    while places := [(topic, number) for topic in stream.logs for number in stream.lag(topic)]:
        stream.step(*places[0])
    return stream


def of_another_version(stream: Stream, kind: bytes, packed: bytes) -> bytes:
    """Put what waits as `packed` into a form that nobody knows; that form."""
    strange = b"\x09" + packed[1:]
    held = {at: value for at, value in stream.states[TOPIC].items() if at.key[:1] == kind and packed in value}
    assert held
    stream.states[TOPIC].update({at: value.replace(packed, strange) for at, value in held.items()})
    return strange


@pytest.mark.parametrize("closed", [True, False])
def test_a_visit_that_waited_and_cannot_be_read_is_a_dead_letter_and_is_judged_when_that_is_sent_again(closed: bool) -> None:
    stream = waiting(scene(1)[1][:1], payment(1, START, card="c", place="p"), payment(2, START, card="c", place="p"))
    (visit, _) = [raw for log in stream.logs[TOPIC] for raw in log if isinstance(read(raw.value), Visit)]
    assert not stream.flags
    strange = of_another_version(stream, b"p", visit.value or b"")
    if not closed:
        stream.clock_ms += 10_000
        stream.send([Onward(TOPIC, None, pack_mark(Mark(TRANSACTIONS, 0)), theirs) for theirs in range(PARTITIONS)])
    stream.run(ticks=float(closed))
    (letter,) = stream.letters
    assert (letter.topic, letter.partition, letter.offset, letter.key, letter.value) == (*visit.at, visit.key, strange)
    assert letter.error_class == "Malformed"
    assert set(stream.flags) == {"t2"}, "its neighbour is judged all the same"

    stream.append(TOPIC, letter.key, visit.value or b"", letter.partition, headers=((RETRY_HEADER, b"1"),))
    stream.run()
    assert set(stream.flags) == {"t1", "t2"}


def test_a_ruling_that_waited_and_cannot_be_read_is_a_dead_letter_and_counts_when_that_is_sent_again() -> None:
    paid = payment(1, START, card="c", place="p")
    known = START + timedelta(hours=2)
    verdict = Verdict(id="v", event_id=paid.id, label="fraud", outcome="fraud", source="test", occurred_at=known)
    stream = waiting([*scene(1)[1][:1], verdict], paid)
    home = next(raw.at.partition for log in stream.logs[TOPIC] for raw in log if isinstance(read(raw.value), Visit))
    (ruling,) = [raw for raw in stream.logs[TOPIC][home] if read(raw.value) == Ruling(key64(paid.id), int(known.timestamp() * 1000), True)]
    strange = of_another_version(stream, b"r", ruling.value or b"")
    stream.load([payment(2, START + timedelta(hours=5), card="d", place="p")], [])
    stream.run()
    assert (*ruling.at, strange) in {(letter.topic, letter.partition, letter.offset, letter.value) for letter in stream.letters}
    assert not _frauds(stream)

    stream.append(TOPIC, None, ruling.value or b"", home, headers=((RETRY_HEADER, b"1"),))
    stream.run()
    assert _frauds(stream) == 1


def _frauds(stream: Stream) -> int:
    """How many frauds the terminals know of."""
    kept = [Standing.from_bytes(value[HEADER_BYTES:]) for at, value in stream.states[TOPIC].items() if at.key[:1] == b"t"]
    return sum(len(standing.folded(2**62).terminal.frauds.times) for standing in kept)
