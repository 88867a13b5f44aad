"""The parts of the actions service by themselves."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import Position, RawRecord, encode
from schemas.dead_letter import Response
from schemas.flag import Flag, LabelScore, Reason
from stream import topics
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.act.backoff import pauses
from stream.act.breaker import Breaker
from stream.act.courier import Courier
from stream.act.endpoint import answer_of, retry_after_s
from stream.act.environment import Environment
from stream.act.gate import Gate
from stream.act.quiet import BUSY_S, LONGEST_S, Quiet
from stream.act.rules import CommandRules, FileRules, KafkaRules, SinkRules, SlackRules, WebhookRules, load
from stream.act.slack import text_of
from stream.act.webhook import key_of
from stream.errors import UsageError
from stream.subscribe.held import Held, Ledger
from tests.flags import make_flag

Run = Callable[..., tuple[int, str, str]]

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


# Rules

HOOK = '[sinks.hook]\ntype = "webhook"\nurl = "https://example.org/flags"\nsecret_env = "HOOK_SECRET"\n'
ALL = '[[rules]]\nto = ["hook"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "actions.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "sinks: Field required"),
        ("nonsense", "cannot be read"),
        (HOOK, "rules: Field required"),
        (HOOK + '[[rules]]\nto = ["other"]\n', "names the sink 'other'; there are: hook"),
        (HOOK + '[sinks.b]\ntype = "file"\npath = "x"\n' + ALL, "no rule sends anything to the sink 'b'"),
        (HOOK + ALL + 'labels = ["sacm"]\n', "unknown label 'sacm'; known: "),
        (HOOK + ALL + 'color = "red"\n', "rules.0.color: Extra inputs"),
        (HOOK + "attempts = 0\n" + ALL, "sinks.hook.attempts: Input should be greater"),
        (HOOK.replace("https", "file") + ALL, "not an http:// or https:// URL"),
        (HOOK.replace("example.org", "user:word@example.org") + ALL, "no user or password"),
        (HOOK.replace("secret_env", "previous_secret_env") + ALL, "give secret_env, or unsigned = true"),
        (HOOK + 'url_env = "U"\n' + ALL, "give url or url_env"),
        (HOOK + 'headers_env = {Webhook-Id = "U"}\n' + ALL, "is set by us"),
        (HOOK.replace("HOOK_SECRET", "FLAGSTREAM_SECRET") + ALL, "are settings; choose another"),
        (HOOK.replace("hook]", "Hook Me]").replace("sinks.", 'sinks."').replace("Me]", 'Me"]') + ALL, "should match pattern"),
        ('[sinks.hook]\ntype = "kafka"\ntopic = "p-flags"\n' + ALL, "would come round again"),
        ('[sinks.hook]\ntype = "pigeon"\n' + ALL, "sinks.hook: Input tag 'pigeon'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_reason(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text), prefix="p-")
    assert why in str(caught.value)
    assert "actions.toml" in str(caught.value)
    assert "word@" not in str(caught.value)


KAFKA = '[sinks.hook]\ntype = "kafka"\ntopic = "{}"\n' + ALL


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        *((f"p-{topic.name}", "one of Flagstream's own") for topic in topics.ALL),
        ("terminal-visits", "one of Flagstream's own"),
        ("p-flagstream-histories-changelog", "restored as state"),
        ("p-flagstream-terminals-changelog", "restored as state"),
        ("another-terminals-changelog", "restored as state"),
        ("p-replay-june-rows", "one of the replay's"),
        ("__consumer_offsets", "one of Kafka's own"),
    ],
)
def test_a_sink_writes_to_no_topic_that_something_else_is_kept_in(topic: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        load(written(tmp_path, KAFKA.format(topic)), prefix="p-")
    assert f"topic {topic} is" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("topic", ["cases", "p-cases", "p-flags-of-fraud", "our-replay-cases", "changelog"])
def test_a_sink_writes_to_any_other_topic(topic: str, tmp_path: Path) -> None:
    load(written(tmp_path, KAFKA.format(topic)), prefix="p-")


def test_secrets_come_from_the_environment_and_are_named_never_shown(tmp_path: Path) -> None:
    rules = load(written(tmp_path, HOOK + ALL))
    assert Environment({}).missing(rules) == ["HOOK_SECRET"]
    for value, why in (("", "is not set"), ("tooshort", "at least 24"), ("x" * 30 + "\n", "printable ASCII")):
        with pytest.raises(UsageError, match=why) as caught:
            Environment({"HOOK_SECRET": value}).secret("HOOK_SECRET")
        assert "HOOK_SECRET" in str(caught.value)
        assert not value or value not in str(caught.value)
    with pytest.raises(UsageError, match="holds no http"):
        Environment({"U": "ftp://secret"}).url("U")


def test_the_table_of_options_is_the_one_in_the_code() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    for name, option in SinkRules.model_fields.items():
        shown = "" if option.default is None else f"`{option.default:g}`" if isinstance(option.default, float) else f"`{option.default}`"
        assert f"| `{name}` | {shown} | {option.description} |" in page, name


@pytest.mark.parametrize("table", [WebhookRules, SlackRules, KafkaRules, CommandRules, FileRules])
def test_every_option_of_a_type_is_on_the_page(table: type[SinkRules]) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    for name in table.model_fields.keys() - {"type"}:
        assert f"`{name}`" in page, name


def test_the_rules_file_on_the_page_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    rules = load(written(tmp_path, page.split("```toml")[1].split("```")[0]))
    assert {sink.type for sink in rules.sinks.values()} == {"webhook", "slack", "kafka", "command", "file"}


# The command line


def test_check_says_what_a_file_holds_and_what_it_needs(run: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, HOOK + ALL))
    status, out, errors = run("act", "--check", file)
    assert (status, out.splitlines()[0]) == (0, "hook: webhook, named by 1 of 1 rules")
    assert "HOOK_SECRET is not set here" in errors
    status, out, errors = run("act", "--check", "--json", file, HOOK_SECRET="x" * 30)
    assert json.loads(out) == {"sinks": {"hook": {"type": "webhook", "rules": 1}}, "rules": 1, "missing_variables": []}
    assert "x" * 30 not in out + errors


def test_wrong_use_is_one_line_and_status_2(run: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, HOOK + ALL))
    for arguments, why in (
        ((str(tmp_path / "none.toml"),), "No such file"),
        ((file,), "HOOK_SECRET is not set"),
        ((file, "--only", "other"), "no sink 'other' in the rules; there are: hook"),
    ):
        status, out, errors = run("act", *arguments, FLAGSTREAM_BROKER="127.0.0.1:1")
        assert (status, out) == (2, "")
        assert why in errors
        assert len(errors.splitlines()) == 1
