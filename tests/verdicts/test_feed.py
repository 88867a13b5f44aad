"""The window of a running worker: filled from the topics, after a restart too, and shown as metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from schemas.codec import encode
from stream.metrics import REGISTRY
from stream.settings import Settings
from stream.verdicts import feed as feeding
from stream.verdicts.feed import Feed
from tests.flags import make_flag

from .conftest import Put
from .test_window import verdict


def sample(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"flagstream_{name}", labels)


def until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@contextmanager
def running(settings: Settings) -> Iterator[Feed]:
    found = Feed(settings)
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        assert found.caught_up.wait(30)
        yield found
    finally:
        found.stop()
        thread.join(30)
        assert not thread.is_alive()


def say(number: int, outcome: str) -> tuple[str, bytes, bytes]:
    one = verdict(number, outcome)
    return "verdicts", one.event_id.encode(), encode(one)


def test_flags_and_verdicts_become_precision_live_and_again_after_a_restart(settings: Settings, put: Put) -> None:
    put(*(make_flag(number) for number in range(4)), say(0, "confirmed"))
    with running(settings) as found:
        until(lambda: sample("precision", label="spam") == 1.0)
        put(say(1, "overturned"), make_flag(4, "scam"))
        until(lambda: sample("precision", label="spam") == 0.5)
        assert sample("verdicts", label="spam", outcome="overturned") == 1
        until(lambda: found.subject("flag-4") is not None)
        assert sample("verdict_flags") == 5
    put(say(2, "overturned"), say(3, "overturned"), say(99, "confirmed"))
    with running(settings):
        until(lambda: sample("precision", label="spam") == 0.25)
        assert sample("verdicts_unjoined") == 1


def test_only_the_latest_flags_are_read_at_the_start(settings: Settings, put: Put) -> None:
    put(*(make_flag(number) for number in range(50)))
    with running(settings.model_copy(update={"verdict_window": 8})) as found:
        assert found.subject("flag-0") is None
        assert found.subject("flag-49") is not None


def test_what_is_no_flag_and_no_verdict_is_left_out(settings: Settings, put: Put) -> None:
    put(("flags", b"k", b"{"), ("verdicts", b"k", b"{"), make_flag(1), ("verdicts", b"event-1", b'{"outcome": "partly"}'), say(1, "confirmed"))
    with running(settings) as found:
        until(lambda: sample("precision", label="spam") == 1.0)
        assert found.subject("flag-1") is not None


def test_labels_that_are_not_ours_do_not_add_metrics(settings: Settings, put: Put) -> None:
    put(*(make_flag(number, f"label{number}") for number in range(3)))
    for number in range(3):
        one = verdict(number, label=f"label{number}")
        put(("verdicts", one.event_id.encode(), encode(one)))
    with running(settings):
        until(lambda: sample("verdicts", label="other", outcome="confirmed") == 3)
    assert sample("precision", label="label1") is None


def test_a_feed_that_falls_behind_starts_over_with_the_latest_flags(settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []

    def behind(_self: Feed, _consumer: object) -> int:
        measured.append(len(measured))
        return 10**9 if len(measured) == 1 else 0

    monkeypatch.setattr(feeding, "METADATA_AGE_S", 0.0)
    monkeypatch.setattr(Feed, "_behind", behind)
    put(make_flag(1), say(1, "overturned"))
    with running(settings):
        until(lambda: len(measured) > 2)
        put(make_flag(2), say(2, "confirmed"))
        until(lambda: sample("precision", label="spam") == 0.5)


def test_a_broker_that_is_away_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "RETRY_S", 0.05)
    monkeypatch.setattr("stream.subscribe.blocking.CONNECT_TIMEOUT_S", 0.2)
    found = Feed(settings.model_copy(update={"broker": "127.0.0.1:1"}))
    thread = threading.Thread(target=found.run)
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    found.stop()
    thread.join(30)
    assert not thread.is_alive()
