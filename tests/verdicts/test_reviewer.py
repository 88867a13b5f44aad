"""Saying verdicts from Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from schemas.verdict import Verdict
from stream.errors import BrokerError, UsageError
from stream.settings import Settings
from stream.verdicts import Reviewer, Subject
from stream.verdicts.say import verdicts_on
from tests.flags import make_flag

AT = datetime(2026, 1, 1, tzinfo=UTC)
Said = Callable[[], list[Verdict]]


def test_a_verdict_is_with_the_broker_when_the_call_returns(settings: Settings, said: Said) -> None:
    with Reviewer("desk", broker=settings.broker, prefix=settings.prefix) as reviewer:
        spoken = reviewer.say(make_flag(1), "overturned")
        assert said() == list(spoken)
        reviewer.say(make_flag(2, "spam", "scam"), "confirmed", label="scam", at=AT)
    found = {one.event_id: one for one in said()}
    assert (found["event-1"].flag_id, found["event-1"].source, found["event-1"].outcome) == ("flag-1", "desk", "overturned")
    assert (found["event-2"].label, found["event-2"].occurred_at) == ("scam", AT)


async def test_the_same_with_asyncio_many_at_a_time(settings: Settings, said: Said) -> None:
    async with Reviewer("desk", broker=settings.broker, prefix=settings.prefix) as reviewer:
        await asyncio.gather(*(reviewer.asay(make_flag(number), "confirmed") for number in range(20)))
        assert len(await asyncio.to_thread(said)) == 20
        with pytest.raises(UsageError, match="asyncio"):
            reviewer.say(make_flag(1), "confirmed")


def test_a_broker_that_is_not_there_is_one_clear_error() -> None:
    with Reviewer("desk", broker="127.0.0.1:1", timeout_s=0.5) as reviewer, pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        reviewer.say(make_flag(1), "confirmed")


async def test_the_same_error_with_asyncio() -> None:
    async with Reviewer("desk", broker="127.0.0.1:1", timeout_s=0.5) as reviewer:
        with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
            await reviewer.asay(make_flag(1), "confirmed")


def labels(flag_labels: tuple[str, ...], outcome: str, **options: object) -> list[str]:
    subject = Subject("e", "f", flag_labels)
    return [one.label for one in verdicts_on(subject, outcome, source="s", **options)]  # type: ignore[arg-type]  # of several types


def test_a_no_is_said_of_every_label_and_a_yes_of_the_one_that_is_meant() -> None:
    assert labels(("spam", "scam"), "overturned") == ["spam", "scam"]
    assert labels(("spam",), "confirmed") == ["spam"]
    assert labels(("spam", "scam"), "confirmed", labels=["scam", "scam"]) == ["scam"]
    assert labels(("spam",), "confirmed", labels=["hate"]) == ["hate"], "a reviewer may know better"
    assert labels(("fraud",), "legitimate") == ["fraud"]


@pytest.mark.parametrize(
    ("flag_labels", "outcome", "options", "words"),
    [
        (("spam", "scam"), "confirmed", {}, "for which label"), (("spam",), "right", {}, "confirmed, overturned, fraud, legitimate"),
        (("spam",), "fraud", {}, "say confirmed or overturned"), ((), "overturned", {}, "which label"),
        (("spam",), "confirmed", {"labels": ["rude"]}, "unknown label"), (("spam",), "confirmed", {"at": datetime(2099, 1, 1, tzinfo=UTC)}, "ahead"),
        (("spam", "scam"), "overturned", {"id": "x"}, "one id"), (("spam",), "confirmed", {"id": "x" * 300}, "id: "),
    ],
)  # fmt: skip
def test_what_cannot_be_said(flag_labels: tuple[str, ...], outcome: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        labels(flag_labels, outcome, **options)


def test_who_says_the_same_of_the_same_moment_says_the_same_verdict() -> None:
    subject = Subject("e", "f", ("spam",))
    first, again = (verdicts_on(subject, "confirmed", source="s", at=AT) for _ in range(2))
    assert first == again
    assert verdicts_on(subject, "confirmed", source="s", at=AT + timedelta(seconds=1))[0].id != first[0].id
    assert verdicts_on(subject, "confirmed", source="t", at=AT)[0].id != first[0].id
