"""The parts of the actions service by themselves."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from schemas.codec import Position, RawRecord, encode
from schemas.dead_letter import Response
from schemas.flag import Flag, LabelScore, Reason
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.act.backoff import pauses
from stream.act.breaker import Breaker
from stream.act.courier import Courier
from stream.act.endpoint import answer_of, retry_after_s
from stream.act.gate import Gate
from stream.act.quiet import BUSY_S, LONGEST_S, Quiet
from stream.act.rules import SinkRules
from stream.act.slack import text_of
from stream.act.webhook import key_of
from stream.subscribe.held import Held, Ledger
from tests.flags import make_flag

# Breaker and gate


def test_the_breaker_opens_after_failures_in_a_row_and_one_probe_decides() -> None:
    breaker = Breaker(failures=3, pause_s=10)
    for failed in (True, True, False, True, True):
        assert breaker.wait_s(0) == 0
        breaker.begin()
        breaker.failed(0) if failed else breaker.succeeded()
    breaker.failed(5)
    assert (breaker.open, breaker.wait_s(5), breaker.wait_s(12)) == (True, 10, 3)
    breaker.failed(9)
    assert breaker.wait_s(15) == 0, "what was under way when it opened does not lengthen the pause"
    breaker.begin()
    assert breaker.wait_s(15) == math.inf, "one probe at a time"
    breaker.failed(16)
    assert breaker.wait_s(16) == 10
    breaker.begin()
    breaker.abandoned()
    assert breaker.wait_s(26) == 0
    breaker.begin()
    breaker.succeeded()
    assert (breaker.open, breaker.wait_s(26)) == (False, 0)


async def test_the_gate_lets_no_more_through_at_once_than_it_may_and_honours_a_pause() -> None:
    gate = Gate(concurrency=2, rate_per_s=None, breaker=Breaker(failures=3, pause_s=60))
    await gate.enter()
    await gate.enter()
    third = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0.05)
    assert not third.done()
    gate.leave(Again(reason="HTTP 429", after_s=0.3, counts=False))
    began_s = time.monotonic()
    await third
    assert time.monotonic() - began_s > 0.2
    assert gate.open


async def test_a_wait_that_is_given_up_leaves_room_for_the_next() -> None:
    gate = Gate(concurrency=1, rate_per_s=None, breaker=Breaker(failures=1, pause_s=0.2))
    await gate.enter()
    gate.leave(Again(reason="down"))
    assert not gate.open
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await gate.enter()
    await asyncio.wait_for(gate.enter(), 10)


async def test_a_rate_is_kept() -> None:
    gate = Gate(concurrency=10, rate_per_s=20, breaker=Breaker(failures=1, pause_s=1))
    began_s = time.monotonic()
    for _ in range(5):
        await gate.enter()
        gate.leave(Delivered())
    assert time.monotonic() - began_s > 0.19


@pytest.fixture
async def busy() -> AsyncIterator[list[int]]:
    """A loop that always has something to do; how often it came round stands in the list."""
    rounds = [0]

    async def work() -> None:
        while True:
            rounds[0] += 1
            time.sleep(2 * BUSY_S)  # noqa: ASYNC251 (it is the work)
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    yield rounds
    task.cancel()


async def test_in_a_busy_process_a_sink_that_failed_waits_for_the_others_and_not_for_ever(busy: list[int]) -> None:
    gate = Gate(concurrency=3, rate_per_s=None, breaker=Breaker(failures=10, pause_s=60))
    before = busy[0]
    await gate.enter()
    assert busy[0] == before, "one that is well does not wait"
    gate.leave(Again(reason="HTTP 500"))
    began_s = time.monotonic()
    await asyncio.gather(gate.enter(), gate.enter())
    assert time.monotonic() - began_s >= 2 * LONGEST_S, "one after the other"
    for _ in range(8):
        gate.leave(Delivered())
        before = busy[0]
        await gate.enter()
    assert busy[0] == before, "a failure is forgotten after some successes"


async def test_in_a_process_that_is_not_busy_nobody_waits_for_others() -> None:
    began_s = time.monotonic()
    await asyncio.gather(*(Quiet().moment() for _ in range(3)))
    assert time.monotonic() - began_s < 50 * LONGEST_S


def test_pauses_grow_to_their_limit_with_full_jitter() -> None:
    drawn = [next_ones for _ in range(300) for next_ones in [first(pauses(1.0, 8.0), 6)]]
    for step, ceiling in enumerate((1.0, 2.0, 4.0, 8.0, 8.0, 8.0)):
        values = [one[step] for one in drawn]
        assert max(values) <= ceiling
        assert max(values) > 0.8 * ceiling
        assert min(values) < 0.2 * ceiling


def first(numbers: Iterator[float], count: int) -> list[float]:
    return [next(numbers) for _ in range(count)]


# Answers


@pytest.mark.parametrize(
    ("status", "retry_after", "answer"),
    [
        (200, None, Delivered()),
        (204, "10", Delivered()),
        (404, None, Refused(reason="HTTP 404", response=Response(status=404, body="said"))),
        (404, "10", Refused(reason="HTTP 404", response=Response(status=404, body="said"))),
        (408, None, Again(reason="HTTP 408", response=Response(status=408, body="said"))),
        (429, "7", Again(reason="HTTP 429", response=Response(status=429, body="said"), after_s=7, counts=False)),
        (429, None, Again(reason="HTTP 429", response=Response(status=429, body="said"))),
        (500, "7", Again(reason="HTTP 500", response=Response(status=500, body="said"), after_s=7)),
        (503, "Thu, 01 Jan 1970 00:02:00 GMT", Again(reason="HTTP 503", response=Response(status=503, body="said"), after_s=20, counts=False)),
    ],
)
def test_what_a_status_means(status: int, retry_after: str | None, answer: Answer) -> None:
    assert answer_of(status, "said", retry_after=retry_after, now_s=100) == answer


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("99999999999999999999", 3600), ("-5", None), ("soon", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("²", None), ("", None)],
)
def test_a_retry_after_is_bounded_and_nonsense_says_nothing(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, now_s=100) == seconds


@pytest.mark.parametrize("hostile", ["a\r\nX-Evil: 1", "ü", "a.b", "a b", "\x00"])
def test_an_id_that_could_not_stand_in_a_header_is_digested(hostile: str) -> None:
    key = key_of(make_flag(id=hostile))
    assert len(key) == 32
    assert key == key_of(make_flag(id=hostile))
    assert key_of(make_flag(3)) == "flag-3"


def test_a_line_for_people_draws_no_link_and_calls_nobody() -> None:
    flag = make_flag(entity="<@U1> `@here`\x1b[31m", reasons=(Reason(code="c", text="a & <http://x|y>\n@channel z"),))
    text = text_of(flag)
    # As code, in which no word is a name or an address, and out of which it cannot break.
    assert "of `&lt;@U1&gt; '@here'[31m`: " in text
    assert "a &amp; &lt;http:\u200b//x|y&gt; @\u200bchannel z" in text
    assert not set("<>\n\x1b") & set(text)


def test_a_line_for_people_is_short_whatever_a_flag_holds() -> None:
    labels = tuple(LabelScore(name="x" * 256, score=0.9, threshold=0.8, severity="low") for _ in range(20))
    flag = make_flag(entity="u" * 256, labels=labels, reasons=(Reason(code="c", text="y" * 100_000),))
    assert len(text_of(flag)) < 2_000, "Discord takes no more"


# Couriers


class Letters:
    """Takes dead letters."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, str]] = []

    async def publish(self, raw: RawRecord, *, sink: str, cause: str, reason: str, response: Response | None) -> bool:
        self.taken.append((Flag.model_validate_json(raw.value or b"").id, cause, reason))
        return True


class Stub:
    """A sink that does as it is told."""

    def __init__(self, answers: list[Answer] | None = None, *, takes_s: float = 0.0) -> None:
        self.sent: list[str] = []
        self._answers = answers or []
        self._takes_s = takes_s

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, flag: Flag) -> Answer:
        self.sent.append(flag.id)
        await asyncio.sleep(self._takes_s)
        return self._answers.pop(0) if self._answers else Delivered()


def courier(sink: Stub, letters: Letters, *, remembered: int = 100, **options: Any) -> Courier:
    rules = SinkRules(**{"first_backoff_s": 0.01, **options})
    gate = Gate(concurrency=rules.concurrency, rate_per_s=None, breaker=Breaker(failures=100, pause_s=1))
    return Courier("stub", sink, rules, gate, letters, remembered=remembered)  # type: ignore[arg-type]  # takes letters alike


def held(number: int, done: Counter[str], *, age_s: float = 0.0, **changed: Any) -> Held:
    flag = make_flag(number, **changed)
    raw = RawRecord(Position("flags", 0, number), None, encode(flag), int((time.time() - age_s) * 1000))
    return Held(flag, raw, Ledger(raw.at.offset), lambda one: done.update([one.flag.id]))


async def settled(done: Counter[str], count: int) -> None:
    async with asyncio.timeout(20):
        while done.total() < count:  # noqa: ASYNC110 (a plain counter)
            await asyncio.sleep(0.01)


async def test_flags_of_one_entity_wait_for_each_other_and_others_do_not() -> None:
    sink, done = Stub([Again(reason="down")], takes_s=0.01), Counter[str]()
    one = courier(sink, Letters())
    for number in range(3):
        one.accept(held(number, done, entity="a"))
    one.accept(held(9, done, entity="b"))
    await settled(done, 4)
    assert [flag for flag in sink.sent if flag != "flag-9"] == ["flag-0", "flag-0", "flag-1", "flag-2"]
    assert sink.sent.index("flag-9") < 2
    assert one.held == 0


async def test_a_flag_that_comes_again_is_not_sent_again_unless_that_is_meant() -> None:
    for remembered, times in ((100, 1), (0, 2)):
        sink, done = Stub(), Counter[str]()
        one = courier(sink, Letters(), remembered=remembered)
        one.accept(held(1, done))
        one.accept(held(1, done))
        await settled(done, 2)
        assert sink.sent == ["flag-1"] * times


async def test_attempts_and_age_are_bounded() -> None:
    letters, done = Letters(), Counter[str]()
    sink = Stub([Again(reason="HTTP 503"), Again(reason="HTTP 429", counts=False), Again(reason="HTTP 503")])
    one = courier(sink, letters, attempts=2, max_age_s=60)
    one.accept(held(1, done))
    one.accept(held(2, done, age_s=61))
    await settled(done, 2)
    assert sorted(letters.taken) == [
        ("flag-1", "GaveUp", "2 attempts failed, the last with HTTP 503"), ("flag-2", "TooOld", "published more than 60 s ago"),
    ]  # fmt: skip
    assert sink.sent == ["flag-1"] * 3


async def test_finish_lets_attempts_under_way_end_and_takes_nothing_else_up() -> None:
    sink, done = Stub(takes_s=0.3), Counter[str]()
    one = courier(sink, Letters(), concurrency=2)
    for number in range(10):
        one.accept(held(number, done))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(one.finish(10), 10)
    one.accept(held(11, done))
    assert set(done) == set(sink.sent) == {"flag-0", "flag-1"}


async def test_finish_is_bounded_where_the_sink_hangs() -> None:
    done = Counter[str]()
    one = courier(Stub(takes_s=3600), Letters())
    one.accept(held(1, done))
    await asyncio.sleep(0.05)
    await asyncio.wait_for(one.finish(0.1), 10)
    assert not done


async def test_what_was_given_away_is_neither_sent_nor_done() -> None:
    sink, done = Stub(takes_s=3600), Counter[str]()
    one = courier(sink, Letters(), concurrency=1)
    for number in range(3):
        one.accept(held(number, done))
    await asyncio.sleep(0.05)
    one.drop()
    await asyncio.sleep(0.05)
    assert (one.held, done, sink.sent) == (0, Counter(), ["flag-0"])
