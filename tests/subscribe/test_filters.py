"""What a consumer asks for, and what a subscription remembers."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.flag import LabelScore
from schemas.labels import SEVERITIES
from stream.errors import UsageError
from stream.subscribe import Filter, subscribe
from stream.subscribe.plan import log_poison
from stream.subscribe.progress import Progress, Window
from tests.flags import make_flag

SCAM = LabelScore(name="scam", score=0.6, threshold=0.5, severity="high")
SPAM = LabelScore(name="spam", score=0.95, threshold=0.5, severity="low")
BOTH = make_flag(1, labels=(SPAM, SCAM), entity="u", tenant="t")


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ({}, True), ({"labels": {"scam"}}, True), ({"labels": ["hate"]}, False), ({"labels": []}, False), ({"decisions": {"review"}}, True),
        ({"decisions": {"block"}}, False), ({"kinds": {"transaction"}}, False), ({"entities": {"u"}}, True), ({"entities": {"x"}}, False),
        ({"tenants": {"t"}}, True), ({"tenants": {"x"}}, False), ({"min_score": 0.9}, True), ({"min_score": 0.96}, False),
        ({"min_severity": "high"}, True), ({"min_severity": "critical"}, False), ({"labels": {"scam"}, "min_score": 0.9}, False),
        ({"min_severity": "high", "min_score": 0.9}, False),
    ],
)  # fmt: skip
def test_one_label_must_satisfy_every_condition_on_labels(options: dict[str, Any], accepted: bool) -> None:
    assert Filter.of(**options).accepts(BOTH) is accepted


@given(st.sampled_from(SEVERITIES), st.sampled_from(SEVERITIES), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_bar_never_loses_a_flag(one: Any, other: Any, low: float, high: float) -> None:
    lower, higher = sorted((one, other), key=SEVERITIES.index)
    strict = Filter.of(min_severity=higher, min_score=max(low, high))
    assert not strict.accepts(BOTH) or Filter.of(min_severity=lower, min_score=min(low, high)).accepts(BOTH)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": {"rudeness"}}, "unknown label 'rudeness'"), ({"labels": "scam"}, "not a single string"),
        ({"decisions": {"ban"}}, "unknown decision"),
        ({"min_severity": "awful"}, "unknown severity"), ({"min_score": 95}, "probability"), ({"start": "yesterday"}, "start is"),
        ({"dedupe_window": -1}, "dedupe_window"), ({"topic": "messages"}, "not flags"), ({"broker": "nonsense"}, "host:port"),
        ({"broker": None}, "no broker"),
    ],
)  # fmt: skip
def test_wrong_use_is_said_before_anything_is_connected(options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAGSTREAM_BROKER", raising=False)
    with pytest.raises(UsageError, match=words):
        subscribe(**{"broker": "127.0.0.1:1", **options})


@given(st.lists(st.integers(0, 30)), st.integers(0, 10))
def test_the_window_knows_exactly_the_last_ids_that_were_added(numbers: list[int], size: int) -> None:
    window = Window(size)
    for number in numbers:
        window.add(str(number))
    latest = list(dict.fromkeys(reversed(numbers)))[:size]
    assert {number for number in range(31) if str(number) in window} == set(latest)


def test_a_full_window_forgets_without_looking_for_what_is_oldest() -> None:
    window = Window(100_000)
    for number in range(100_000):
        window.add(str(number))
    began_s = time.perf_counter()
    for number in range(100_000, 300_000):
        window.add(str(number))
    # A dict whose oldest keys are deleted takes half a minute.
    assert time.perf_counter() - began_s < 8


class Fetched(NamedTuple):
    partition: int
    offset: int
    value: bytes
    key: bytes | None = None
    timestamp: int = 0


ACTIONS = st.lists(st.sampled_from(["take", "done", "again", "fetch", "commit", "keep 0", "drop"]), max_size=60)


@given(ACTIONS, st.lists(st.booleans(), min_size=40, max_size=40))
def test_no_offset_is_reached_before_every_flag_up_to_it_is_done(actions: list[str], readable: list[bool]) -> None:
    progress = Progress("flags", Filter.of(), window=0, on_poison=lambda _: None)
    values = [encode(make_flag(offset)) if readable[offset] else b"?" for offset in range(40)]
    logs = {partition: [Fetched(partition, offset, value) for offset, value in enumerate(values)] for partition in (0, 1)}
    fetched, committed, finished = {0: 0, 1: 0}, {0: 0, 1: 0}, {0: set[int](), 1: set[int]()}
    hand: Fetched | None = None
    for action in actions:
        if action == "fetch":
            for partition, log in logs.items():
                progress.put(log[fetched[partition] : fetched[partition] + 3])
                fetched[partition] = min(40, fetched[partition] + 3)
        elif action in ("take", "done"):
            if hand is not None and progress.holding:
                finished[hand.partition].add(hand.offset)
            if action == "take":
                progress.take()
                hand = None if progress._in_hand is None else progress._in_hand[0]
            else:
                progress.done()
        elif action == "again":
            progress.again()
            hand = None
        elif action == "commit":
            due = progress.due()
            committed.update(due)
            progress.committed(due)
        else:
            kept = {0} if action == "keep 0" else set()
            progress.keep(kept)
            # Of what is forgotten, everything after the committed offset comes again.
            fetched.update({partition: committed[partition] for partition in logs if partition not in kept})
            hand = None if hand is not None and hand.partition not in kept else hand
        for partition, offset in {**committed, **progress.due()}.items():
            wanted = {before for before in range(offset) if readable[before]}
            assert wanted <= finished[partition]


def test_the_default_for_poison_is_a_line_without_content(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    progress = Progress("flags", Filter.of(), window=0, on_poison=log_poison)
    progress.put([Fetched(1, 7, b"a secret")])
    assert progress.take() is None
    assert progress.due() == {1: 8}
    written = "".join((*capsys.readouterr(), caplog.text))
    assert "flag.unreadable" in written or "poison" in written
    assert "secret" not in written
