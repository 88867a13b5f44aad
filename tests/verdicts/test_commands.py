"""`flagstream verdict` and `flagstream verdicts export`."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from models.tuning.verdicts import gather
from schemas.codec import encode
from schemas.flag import EventRef
from schemas.message import Message
from schemas.verdict import Verdict
from stream.names import Names
from stream.publisher import key_hash
from stream.replay.verdicts import read_verdicts
from stream.settings import Settings
from tests.flags import NOW, make_flag

from .conftest import Put

Run = Callable[..., tuple[int, str, str]]
Said = Callable[[], list[Verdict]]


@pytest.fixture
def flagstream(run: Run, settings: Settings) -> Run:
    """The command line on this test's topics."""
    return lambda *arguments: run(*arguments, FLAGSTREAM_BROKER=settings.broker or "", FLAGSTREAM_PREFIX=settings.prefix)


def test_a_verdict_on_a_flag_finds_its_event_and_label(flagstream: Run, put: Put, said: Said) -> None:
    put(*(make_flag(number) for number in range(30)))
    code, out, _ = flagstream("verdict", "flag-7", "overturned", "--source", "appeals", "--at", "2026-01-03")
    assert code == 0
    (verdict,) = said()
    assert (verdict.event_id, verdict.flag_id, verdict.label, verdict.source) == ("event-7", "flag-7", "spam", "appeals")
    assert (verdict.occurred_at.day, verdict.id in out) == (3, True)
    code, out, _ = flagstream("verdict", "flag-8", "confirmed", "--json")
    assert [one["event_id"] for one in json.loads(out)] == ["event-8"]


def test_a_flag_of_several_labels_and_an_event_without_a_flag(flagstream: Run, put: Put, said: Said) -> None:
    put(make_flag(1, "spam", "scam"))
    code, _, error = flagstream("verdict", "flag-1", "confirmed")
    assert (code, said()) == (2, [])
    assert "spam, scam" in error
    assert flagstream("verdict", "flag-1", "confirmed", "--label", "scam")[0] == 0
    assert flagstream("verdict", "--event", "event-9", "--label", "hate", "confirmed")[0] == 0
    assert flagstream("verdict", "flag-5", "legitimate", "--event", "event-5", "--label", "fraud")[0] == 0
    assert {(one.event_id, one.flag_id, one.label) for one in said()} == {
        ("event-1", "flag-1", "scam"), ("event-9", None, "hate"), ("event-5", "flag-5", "fraud"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("flag-404", "confirmed"), "no flag 'flag-404'"), (("flag-1", "perhaps"), "outcomes are"), ((), "outcomes are"),
        (("--event", "e", "confirmed"), "which label"), (("flag-1", "confirmed", "--at", "soon"), "--at"), (("confirmed",), "outcomes are"),
    ],
)  # fmt: skip
def test_wrong_use_is_one_line(flagstream: Run, put: Put, arguments: tuple[str, ...], words: str) -> None:
    put(make_flag(1))
    code, _, error = flagstream("verdict", *arguments)
    assert (code, error.count("\n"), words in error) == (2, 1, True), error


def say(number: int, outcome: str = "confirmed", label: str = "spam", *, minute: int = 0, **more: Any) -> tuple[str, bytes, bytes]:
    one = Verdict.model_validate({
        "id": f"v-{number}-{label}-{minute}", "event_id": f"event-{number}", "label": label, "outcome": outcome, "source": "s",
        "occurred_at": NOW + timedelta(minutes=minute), **more,
    })  # fmt: skip
    return "verdicts", one.event_id.encode(), encode(one)


def message(number: int, text: str) -> tuple[str, bytes, bytes]:
    # One key, one partition: the offset of a message is its place among them.
    return "messages", b"user", encode(Message(id=f"event-{number}", occurred_at=NOW, user_id="user", text=text))


@pytest.fixture
def history(put: Put, settings: Settings) -> None:
    """Messages, flags on some of them, and verdicts of every fate."""
    put(*(message(number, f"text {number}") for number in range(4)), message(1, "another text with the id of 1"))
    partition = key_hash(b"user") % 4
    topic = Names(settings.prefix).wire("messages")
    put(*(
        make_flag(number, event=EventRef(topic=topic, partition=partition, offset=number, id=f"event-{number}")) for number in (0, 1, 2, 50)
    ))  # fmt: skip
    put(make_flag(60, "fraud", kind="transaction", event=EventRef(topic="transactions", partition=0, offset=0, id="event-60")))
    put(
        say(0), say(1, "confirmed"), say(1, "overturned", minute=5), say(2, minute=1), say(2, "overturned", label="scam", minute=2),
        say(2, "overturned", minute=3, supersedes="v-2-spam-1"), say(3, "overturned", label="hate"), say(50), say(60, "fraud", "fraud"), say(70),
        ("verdicts", b"x", b"{"),
    )  # fmt: skip


def test_what_stands_is_written_with_its_text_and_what_is_missing_is_named(flagstream: Run, history: None, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.jsonl"
    code, printed, _ = flagstream("verdicts", "export", "--out", str(out), "--json")
    assert code == 0
    found = json.loads(printed)
    assert {why: sorted(events) for why, events in found.pop("events").items()} == {
        "no flag on the event": ["event-3", "event-70"], "text no longer kept": ["event-50", "event-70"],
        "of a transaction, which has no text": ["event-60"],
    }  # fmt: skip
    assert found == {
        "written": 8, "texts": 5, "left_out": {"no verdict": 1, "superseded": 1, "a later verdict stands": 1},
        "unjoined": {"no flag on the event": 2, "text no longer kept": 2, "of a transaction, which has no text": 1},
    }  # fmt: skip
    lines = {(line["event_id"], line["label"]): line for line in map(json.loads, out.read_text().splitlines())}
    texts = {key: (line.get("text"), line["outcome"]) for key, line in lines.items()}
    assert texts == {
        ("event-0", "spam"): ("text 0", "confirmed"), ("event-1", "spam"): ("text 1", "overturned"),
        ("event-2", "spam"): ("text 2", "overturned"), ("event-2", "scam"): ("text 2", "overturned"),
        ("event-3", "hate"): ("text 3", "overturned"), ("event-50", "spam"): (None, "confirmed"),
        ("event-60", "fraud"): (None, "fraud"), ("event-70", "spam"): (None, "confirmed"),
    }  # fmt: skip
    assert lines["event-0", "spam"]["score"] == 0.9
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*verdicts*")] == ["verdicts.jsonl"]


def test_an_export_is_what_replay_and_tune_read(flagstream: Run, settings: Settings, history: None, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.jsonl"
    code, printed, error = flagstream("verdicts", "export", "--out", str(out), "--texts-only", "--label", "spam")
    assert code == 0
    assert "3 verdicts written" in printed
    assert "text no longer kept: 2: " in error
    assert read_verdicts(settings, str(out)).count == 3
    examples = gather((number, json.loads(line)) for number, line in enumerate(out.read_text().splitlines(), 1)).examples
    assert {(one.text, one.label, one.holds) for one in examples} == {
        ("text 0", "spam", True), ("text 1", "spam", False), ("text 2", "spam", False),
    }  # fmt: skip


def test_a_file_that_cannot_be_written_is_one_line(flagstream: Run, put: Put, tmp_path: Path) -> None:
    code, _, error = flagstream("verdicts", "export", "--out", str(tmp_path / "none" / "x.jsonl"))
    assert code == 2
    assert "--out" in error.strip().splitlines()[0]
