"""All traffic in one sequence: the warm-up, then both kinds in their shares and at their rate, nearly all readable."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest

from schemas.codec import Malformed, Position, RawRecord, Record, decode
from schemas.message import Message
from schemas.topics import BY_NAME
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream.traffic.event import Event
from stream.traffic.generate import traffic

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = 40_000
RATE = 200.0


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(islice(traffic(42, rate=RATE, start=START), COUNT))


@pytest.fixture(scope="module")
def live(events: list[Event]) -> list[Event]:
    return [event for event in events if not event.warmup]


def _decoded(event: Event) -> Record[Message | Transaction | Verdict] | Malformed:
    raw = RawRecord(at=Position(event.topic, 0, 0), key=event.key, value=event.value, timestamp_ms=0)
    return decode(BY_NAME[event.topic].payload, raw)  # type: ignore[arg-type]  # the table erases the type


def test_the_warm_up_comes_first_and_is_days_of_payments(events: list[Event]) -> None:
    flags = [event.warmup for event in events]
    assert flags == sorted(flags, reverse=True)
    warm = [event for event in events if event.warmup]
    assert {event.topic for event in warm} == {"transactions"}
    assert {event.due_s for event in warm} == {0.0}
    assert warm[-1].occurred_at - warm[0].occurred_at > timedelta(days=13.5)
    assert warm[0].occurred_at >= START - timedelta(days=74)
    assert warm[-1].occurred_at < START - timedelta(days=60)
    assert 20 < len(warm) / 500 < 36


def test_live_events_are_due_at_the_rate(live: list[Event]) -> None:
    assert [event.due_s for event in live] == [at / RATE for at in range(len(live))]


def test_every_event_is_readable_unless_it_is_meant_not_to_be(events: list[Event]) -> None:
    for event in events:
        assert isinstance(_decoded(event), Malformed) == (event.truth.kind == "malformed"), event.truth


def test_the_key_is_the_entity_and_the_time_is_the_bodys(events: list[Event]) -> None:
    for event in events:
        read = _decoded(event)
        if isinstance(read, Record):
            entity = read.body.user_id if isinstance(read.body, Message) else read.body.entity  # type: ignore[union-attr]
            assert event.key == entity.encode()
            assert event.occurred_at == read.body.occurred_at


def test_shares_are_as_asked(live: list[Event]) -> None:
    topics = Counter(event.topic for event in live)
    assert set(topics) == {"messages", "transactions"}
    assert abs(topics["messages"] / len(live) - 0.5) < 0.02
    malformed = sum(event.truth.kind == "malformed" for event in live)
    assert 0.001 < malformed / len(live) < 0.003


def test_half_a_minute_of_a_demo_shows_every_kind(live: list[Event]) -> None:
    shown = Counter(event.truth.kind for event in live if event.due_s < 30)
    assert set(shown) == {"benign", "hard_negative", "harm", "legitimate", "fraud", "malformed"}
    assert shown["harm"] >= 50


@pytest.mark.parametrize("seed", range(6))
def test_half_a_minute_has_fraud_for_any_seed(seed: int) -> None:
    stream = traffic(seed, rate=RATE, start=START)
    shown = [event for event in islice(stream, 22_000) if not event.warmup and event.due_s < 30]
    assert shown[-1].due_s > 29.9
    assert sum(event.truth.kind == "fraud" for event in shown) >= 5


def test_event_time_of_a_card_never_goes_back(events: list[Event]) -> None:
    of_card: defaultdict[bytes, list[datetime]] = defaultdict(list)
    for event in events:
        if event.topic == "transactions":
            of_card[event.key].append(event.occurred_at)
    assert all(a <= b for times in of_card.values() for a, b in pairwise(times))


def test_the_truth_does_not_travel(events: list[Event]) -> None:
    fields = {name for event in events if event.truth.kind != "malformed" for name in json.loads(event.value)}
    assert fields <= set(Message.model_fields) | set(Transaction.model_fields)


def test_equal_seeds_give_equal_traffic_and_others_share_no_id() -> None:
    def sent(seed: int) -> list[Event]:
        return list(islice(traffic(seed, rate=10.0, start=START, cards=25), 3000))

    assert sent(8) == sent(8)
    readable = {event.value for event in sent(8) if event.truth.kind != "malformed"}
    assert readable.isdisjoint(event.value for event in sent(9))


def test_chargebacks_come_between_the_payments_when_asked_for() -> None:
    stream = list(islice(traffic(8, rate=10.0, start=START, cards=100, warmup_days=20, verdicts=True), 8000))
    reported = [json.loads(event.value)["event_id"] for event in stream if event.topic == "verdicts"]
    paid = {json.loads(event.value)["id"] for event in stream if event.truth.kind == "fraud"}
    assert len(reported) > 10
    assert set(reported) <= paid


def test_traffic_of_one_kind_and_without_warm_up() -> None:
    only = list(islice(traffic(1, rate=5.0, start=START, message_share=1.0, malformed_share=0.0, warmup_days=0), 500))
    assert {event.topic for event in only} == {"messages"}
    assert only[0].occurred_at == START
    assert not any(event.warmup or event.truth.kind == "malformed" for event in only)


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"message_share": 1.1}, "share"),
        ({"malformed_share": -0.1}, "share"),
        ({"start": START.replace(tzinfo=None)}, "offset"),
    ],
)
def test_wrong_use_is_refused_before_the_first_event(asked: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        traffic(1, **({"rate": 1.0, "start": START} | asked))  # type: ignore[arg-type]


def test_generating_is_far_faster_than_scoring(events: list[Event]) -> None:
    stream = traffic(3, rate=RATE, start=START)
    list(islice(stream, 2000))
    # Processor time, and a quarter of what one core does, so that a busy machine does not fail it.
    begin = time.process_time()
    list(islice(stream, 20_000))
    assert 20_000 / (time.process_time() - begin) > 8_000
