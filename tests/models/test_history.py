from __future__ import annotations

import contextlib
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.entry import Entry, key32, key64
from models.errors import HistoryError, ModelError
from models.history import DAY_MS, EMPTY, HOUR_BUCKETS, HOUR_MS, KEPT, KEPT_FRAUDS, MIXED, History, KnownFraud
from models.history_form import MAX_BYTES
from models.terminal import Terminal
from schemas.transaction import Transaction

EUR, USD = 978, 840
START = 1_530_000_000_000

entries = st.builds(
    Entry,
    at_ms=st.integers(0, 4_000_000_000_000),
    id=st.integers(0, 2**64 - 1),
    amount_minor=st.integers(0, 10**15),
    currency=st.sampled_from([EUR, EUR, EUR, USD]),
    place=st.integers(0, 2**32 - 1),
    land=st.integers(0, 2**16 - 1),
)


def folded(sequence: list[Entry], history: History = EMPTY) -> History:
    for entry in sequence:
        history = history.add(entry)
    return history


def spaced(count: int, *, gap_ms: int = HOUR_MS, currency: int = EUR) -> list[Entry]:
    return [Entry(START + number * gap_ms, number + 1, 100 + number, currency) for number in range(count)]


@settings(deadline=None)
@given(st.lists(entries, max_size=120))
def test_binary_form_gives_back_the_same_history(sequence: list[Entry]) -> None:
    history = folded(sequence)
    assert History.from_bytes(history.to_bytes()) == history


@settings(deadline=None)
@given(st.lists(entries, max_size=KEPT, unique_by=lambda entry: entry.id), st.randoms())
def test_order_of_arrival_leaves_no_trace_while_all_are_kept(sequence: list[Entry], chance: random.Random) -> None:
    shuffled = list(sequence)
    chance.shuffle(shuffled)
    assert folded(shuffled).to_bytes() == folded(sequence).to_bytes()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(33, 200))
def test_order_of_arrival_leaves_no_trace_within_the_bound(seed: int, count: int) -> None:
    """Any order in which fewer than KEPT later transactions precede each one."""
    chance = random.Random(seed)
    sequence = sorted(
        Entry(START + chance.randrange(60 * DAY_MS), number, chance.randrange(10**6), chance.choice([EUR, USD])) for number in range(count)
    )
    late = sorted(range(count), key=lambda place: place + chance.uniform(0, KEPT - 1))
    assert folded([sequence[place] for place in late]) == folded(sequence)


def test_a_repeated_transaction_changes_nothing() -> None:
    sequence = spaced(KEPT + 10)
    history = folded(sequence)
    for entry in sequence:
        assert history.add(entry) is history


def test_a_record_later_than_the_bound_is_left_out() -> None:
    history = folded(spaced(KEPT))
    assert history.add(Entry(START - 1, 999, 1, EUR)) is history
    assert history.add(Entry(START + 1, 999, 1, EUR)) is not history


def test_every_transaction_is_counted_once_kept_or_summed_up() -> None:
    history = folded(spaced(200, gap_ms=HOUR_MS // 3))
    assert len(history.times) == KEPT
    assert history.past_count == 200 - KEPT
    assert sum(history.hours[1::3]) + sum(history.days[1::3]) == 200 - KEPT
    assert sum(history.hours[2::3]) + sum(history.days[2::3]) == history.past_sum == sum(100 + number for number in range(200 - KEPT))
    assert len(history.hours) == 3 * HOUR_BUCKETS


def test_a_timestamp_in_the_far_future_takes_one_place_and_nothing_else() -> None:
    sequence = spaced(100)
    poison = Entry(4_000_000_000_000, 7_777, 5, EUR)
    hurt = folded(sequence[50:], folded([*sequence[:50], poison]))
    whole = folded(sequence)
    assert hurt.times[-1] == poison.at_ms
    assert hurt.times[:-1] == whole.times[1:]
    assert hurt.past_count == whole.past_count + 1


def test_sums_of_several_currencies_are_marked_as_meaningless() -> None:
    one = folded(spaced(KEPT + 3))
    assert one.home == EUR
    assert folded([Entry(START - 1, 5_000, 1, USD), *spaced(KEPT + 3)]).home == MIXED


def test_size_is_bounded_for_the_widest_values() -> None:
    times = [number * 7 * HOUR_MS for number in range(3_000)] + [2**41 + number for number in range(5)]
    history = folded([Entry(at, 2**64 - 1 - at, 10**15, at % 2 + 1, 2**32 - 1, 65534) for at in times])
    for number in range(20):
        history = history.judge(KnownFraud(number, number, number), fraud=True)
    assert len(history.frauds) == KEPT_FRAUDS
    assert len(history.to_bytes()) <= MAX_BYTES


def test_a_card_of_two_transactions_a_day_takes_about_1200_bytes() -> None:
    chance = random.Random(1)
    times = [START + number * DAY_MS // 2 + chance.randrange(HOUR_MS) for number in range(300)]
    sequence = [Entry(at, chance.getrandbits(64), 5_000, EUR, chance.getrandbits(32)) for at in times]
    assert 1_000 < len(folded(sequence).to_bytes()) < 1_300


@settings(deadline=None)
@given(st.lists(entries, max_size=60), st.data())
def test_damaged_bytes_are_refused(sequence: list[Entry], data: st.DataObject) -> None:
    raw = folded(sequence).to_bytes()
    cut = data.draw(st.integers(0, len(raw) - 1))
    with pytest.raises(HistoryError):
        History.from_bytes(raw[:cut])
    flipped = bytearray(raw)
    flipped[cut] ^= data.draw(st.integers(1, 255))
    with pytest.raises(HistoryError):
        History.from_bytes(bytes(flipped))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_a_history_or_a_clear_error(raw: bytes) -> None:
    with contextlib.suppress(ModelError):
        assert isinstance(History.from_bytes(raw), History)


def test_an_unknown_version_says_so() -> None:
    raw = bytearray(EMPTY.to_bytes())
    raw[0] = 9
    with pytest.raises(HistoryError, match="version 9"):
        History.from_bytes(bytes(raw))


def test_a_ruling_counts_once_and_can_be_withdrawn() -> None:
    ruling = KnownFraud(START + 5, START, 1)
    once = folded(spaced(3)).judge(ruling, fraud=True)
    assert once.judge(ruling._replace(known_ms=START + 9), fraud=True) == once
    assert once.judge(ruling, fraud=False).frauds == ()


def test_an_entry_names_nobody() -> None:
    tx = Transaction(
        id="t-1", occurred_at=datetime(2018, 8, 8, 12, 0, 0, 250_000, tzinfo=UTC), account_id="ACC-SECRET", card_id="4111111111111111",
        amount_minor=1250, currency="eur", terminal_id="T9", country="de",
    )  # fmt: skip
    entry = Entry.of(tx)
    assert entry == Entry(1_533_729_600_250, key64("t-1"), 1250, entry.currency, key32("T9"), entry.land)
    assert "4111" not in repr(folded([entry]))
    assert "SECRET" not in repr(entry)


@pytest.mark.parametrize("strange", ["\ud800", "\x00", "é" * 256, ""])
def test_any_identifier_has_a_key(strange: str) -> None:
    assert 0 <= key64(strange) < 2**64
    assert 0 < key32(strange) < 2**32


@settings(deadline=None)
@given(st.lists(entries, max_size=50), st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 2**64 - 1)), max_size=50))
def test_a_terminal_comes_back_from_its_binary_form(sequence: list[Entry], rulings: list[tuple[int, int]]) -> None:
    terminal = Terminal(folded(sequence))
    for known_ms, key in rulings:
        terminal = terminal.judge(tx=key, at_ms=0, known_ms=known_ms, fraud=True)
    assert Terminal.from_bytes(terminal.to_bytes()) == terminal
    for cut in (0, 1, 10, len(terminal.to_bytes()) - 1):
        with pytest.raises(HistoryError):
            Terminal.from_bytes(terminal.to_bytes()[:cut])
