"""Tail: the terminal's alert consumer."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from schemas.codec import Position, RawRecord, Record
from schemas.flag import Flag, LabelScore, Reason
from schemas.message import Message
from schemas.topics import BY_NAME
from stream.errors import BrokerError, UsageError
from stream.settings import Settings, load
from stream.subscribe.filters import Filter
from stream.tail import since_of, tail
from stream.tail_lines import line_of, printable
from tests.conftest import Run
from tests.flags import make_flag

from .conftest import Publish

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    return load({"broker": broker, "prefix": prefix}, environ={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", datetime(2026, 1, 2, 11, 50, tzinfo=UTC)), ("2h", datetime(2026, 1, 2, 10, tzinfo=UTC)),
        ("1d", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("1.5 H", datetime(2026, 1, 2, 10, 30, tzinfo=UTC)), ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)), ("2026-01-01T02:00+02:00", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_since_is_a_time_or_how_long_ago(text: str, expected: datetime) -> None:
    assert since_of(text, now=NOW) == expected


@given(st.text())
def test_any_text_is_a_time_or_wrong_use(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert since_of(text, now=NOW).tzinfo is UTC


@pytest.mark.parametrize("text", ["", "10", "m", "99999999999d", "0001-01-01", "1960-01-01", "tomorrow"])
def test_a_since_that_is_no_time_is_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        since_of(text, now=NOW)


def test_json_prints_one_flag_a_line_and_ends_after_max(settings: Settings, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(5)))
    out = io.StringIO()
    assert tail(settings, since="1h", limit=3, as_json=True, out=out) == 3
    flags = [Flag.model_validate_json(line) for line in out.getvalue().splitlines()]
    assert {flag.id for flag in flags} < {f"flag-{number}" for number in range(5)}


def test_labels_and_decisions_select(settings: Settings, publish: Publish) -> None:
    scam = LabelScore(name="scam", score=0.9, threshold=0.5, severity="high")
    publish(make_flag(1), make_flag(2, labels=(scam,)), make_flag(3, labels=(scam,), decision="block"))
    out = io.StringIO()
    assert tail(settings, wanted=Filter.of(labels=["scam"], decisions=["block"]), follow=False, as_json=True, out=out) == 1
    assert json.loads(out.getvalue())["id"] == "flag-3"


def test_since_leaves_out_what_was_appended_before(settings: Settings, publish: Publish) -> None:
    publish(make_flag(1), timestamp_ms=int(time.time() * 1000) - 3_600_000)
    publish(make_flag(2))
    out = io.StringIO()
    assert tail(settings, since="10m", follow=False, as_json=True, out=out) == 1
    assert json.loads(out.getvalue())["id"] == "flag-2"


def test_without_since_it_begins_with_what_comes_next(settings: Settings, publish: Publish) -> None:
    publish(make_flag(1))
    out = io.StringIO()
    stop = threading.Event()

    def keep_publishing() -> None:
        while not stop.wait(0.1):
            publish(make_flag(2))

    publisher = threading.Thread(target=keep_publishing)
    publisher.start()
    try:
        assert tail(settings, limit=1, as_json=True, out=out) == 1
    finally:
        stop.set()
        publisher.join()
    assert json.loads(out.getvalue())["id"] == "flag-2"


def test_what_cannot_be_read_is_named_beside_the_output(settings: Settings, publish: Publish, capsys: pytest.CaptureFixture[str]) -> None:
    publish(b"nonsense", make_flag(1))
    out = io.StringIO()
    assert tail(settings, follow=False, as_json=True, out=out) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"topic": "letters"}, UsageError, "unknown topic"),
        ({"limit": 0}, UsageError, "--max"),
        ({"topic": "messages", "wanted": Filter.of(labels=["spam"])}, UsageError, "flags only"),
        ({"topic": "verdicts", "wanted": Filter.of(tenants=["a"])}, UsageError, "flags only"),
        ({"topic": "verdicts"}, BrokerError, "verdicts is not there"),
    ],
)
def test_wrong_use_is_one_clear_line(settings: Settings, options: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tail(settings, follow=False, **options)  # type: ignore[arg-type]  # of several types


SCRIPT = """
import sys
from stream.settings import load
from stream.tail import tail

tail(load({"broker": sys.argv[1], "prefix": sys.argv[2]}, environ={}), since="1h", as_json=True)
"""


def started(settings: Settings) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, settings.broker or "", settings.prefix], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def test_ctrl_c_ends_it_quietly(settings: Settings, publish: Publish) -> None:
    publish(make_flag(1))
    process = started(settings)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, b"")


def test_a_closed_pipe_ends_it_quietly(settings: Settings, publish: Publish) -> None:
    publish(make_flag(1))
    process = started(settings)
    assert process.stdout is not None
    process.stdout.close()
    deadline_s = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline_s:
        publish(make_flag(2))
        time.sleep(0.1)
    assert process.stderr is not None
    with process.stderr as errors:
        assert (process.poll(), errors.read()) == (0, b"")


def recorded(body: object, topic: str = "flags") -> Record[Any]:
    return Record(RawRecord(Position(topic, 0, 0), None, None, 0), body)


def test_a_closed_pipe_is_noticed_where_nothing_comes_any_more(settings: Settings, publish: Publish) -> None:
    publish(make_flag(1))
    process = started(settings)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--kind", "transaction"], {"flag-1"}), (["--min-severity", "high"], {"flag-2"}), (["--min-score", "0.95"], {"flag-3"}),
        (["--entity", "user-1", "--entity", "user-3"], {"flag-1", "flag-3"}), (["--tenant", "a"], {"flag-4"}),
        (["--label", "scam", "--min-score", "0.95"], set()), (["--decision", "block"], {"flag-4"}),
    ],
)  # fmt: skip
def test_every_condition_can_be_given_in_the_terminal(
    settings: Settings, publish: Publish, run: Run, options: list[str], found: set[str]
) -> None:
    publish(
        make_flag(0), make_flag(1, kind="transaction"), make_flag(2, labels=(LabelScore(name="scam", score=0.9, threshold=0.5, severity="high"),)),
        make_flag(3, labels=(LabelScore(name="hate", score=0.96, threshold=0.5, severity="low"),)), make_flag(4, tenant="a", decision="block"),
    )  # fmt: skip
    arguments = ["tail", "--since", "1h", "--no-follow", "--json", "--broker", settings.broker or "", "--prefix", settings.prefix]
    code, out, error = run(*arguments, *options)
    assert (code, error) == (0, "")
    assert {Flag.model_validate_json(line).id for line in out.splitlines()} == found


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--label", "rudeness"], "unknown label 'rudeness'"), (["--kind", "letter"], "unknown kind"), (["--min-severity", "grave"], "--min-severity"),
        (["--min-score", "2"], "probability"), (["messages", "--entity", "user-1"], "flags only"),
    ],
)  # fmt: skip
def test_a_condition_that_no_flag_can_meet_is_one_clear_line(run: Run, options: list[str], words: str) -> None:
    code, out, error = run("tail", "--broker", "127.0.0.1:1", *options)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert words in error


@given(st.text(), st.text(), st.integers(40, 200))
def test_a_line_fits_its_width_and_cannot_steer_the_terminal(entity: str, reason: str, width: int) -> None:
    flag = make_flag(1, entity=(entity or "e")[:256], reasons=(Reason(code="c", text=reason),))
    for body in (flag, Message(id="m", occurred_at=NOW, user_id=(entity or "u")[:256], text=reason)):
        line = line_of(recorded(body), width=width).plain
        assert cell_len(line) <= width
        assert "\x1b" not in line
        assert "\n" not in line


def test_a_flags_line_says_when_who_what_how_sure_and_why() -> None:
    flag = make_flag(1, entity="user-17", reasons=(Reason(code="c", text="spam 0.90, threshold 0.80"),))
    line = line_of(recorded(flag), width=80).plain
    assert line.split()[1:] == ["user-17", "spam", "0.90", "review", "spam", "0.90,", "threshold", "0.80"]


def test_escape_sequences_lose_their_escape() -> None:
    assert printable("a\x1b[31mred\x07\u202e\nb") == "a[31mred b"


def test_every_topic_of_the_table_has_a_line_of_its_own() -> None:
    source = Path(ROOT / "stream" / "tail_lines.py").read_text()
    assert all(f"isinstance(body, {topic.payload.__name__})" in source for topic in BY_NAME.values())


