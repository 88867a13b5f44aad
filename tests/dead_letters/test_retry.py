"""Sending dead letters again: whole, to where they came from, and once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from schemas.dead_letter import DeadLetter, Response
from stream.dead_letters import read
from stream.dead_letters.letter import Wanted
from stream.dead_letters.read import survey
from stream.dead_letters.retry import retry
from stream.errors import BrokerError
from stream.publisher import Placed, Publisher
from stream.settings import Settings

from .conftest import NOW, Lying, Put


def outcomes(settings: Settings, wanted: Wanted | None = None, **options: Any) -> list[str]:
    return [done.what for done in retry(settings, survey(settings, wanted or Wanted()).letters, at=NOW, **options)]


def test_the_record_goes_back_as_it_was_to_its_topic_and_partition(settings: Settings, put: Put, lying: Lying) -> None:
    headers = (("ce_id", b"m1"), ("trace", b"\x00\xff"), ("trace", None))
    letter = put(7, partition=3, key=b"\xff", value=b"{not json", headers=headers)
    assert outcomes(settings) == ["retried"]
    (again,) = lying("messages")
    assert (again.at.partition, again.key, again.value) == (3, b"\xff", b"{not json")
    assert again.headers == (*headers, ("flagstream-retry", b"1"), ("flagstream-letter", letter.id.encode()))


def test_a_transaction_on_its_way_to_its_terminal_goes_back_there(settings: Settings, put: Put, lying: Lying) -> None:
    letter = put(7, topic="terminal-visits", partition=2, key=b"place", value=b"\x01\x00binary")
    assert outcomes(settings) == ["retried"]
    (again,) = lying("terminal-visits")
    assert (again.at.partition, again.key, again.value) == (2, b"place", b"\x01\x00binary")
    assert again.headers == (("flagstream-retry", b"1"), ("flagstream-letter", letter.id.encode()))
    assert lying("transactions") == []


def test_a_second_retry_of_a_letter_says_so_and_sends_nothing(settings: Settings, put: Put, lying: Lying) -> None:
    put(1)
    put(2)
    assert outcomes(settings) == ["retried", "retried"]
    assert outcomes(settings) == ["already retried", "already retried"]
    assert len(lying("messages")) == 2


def test_a_letter_that_was_written_twice_is_sent_once(settings: Settings, put: Put, lying: Lying) -> None:
    put(1, repeat=3)
    assert outcomes(settings) == ["retried"]
    assert len(lying("messages")) == 1


@pytest.mark.parametrize(("fails_at", "sent"), [(1, 0), (2, 0), (3, 1)], ids=["before the mark", "before the record", "after the record"])
def test_a_retry_that_died_is_finished_by_the_next_one(
    settings: Settings, put: Put, lying: Lying, monkeypatch: pytest.MonkeyPatch, fails_at: int, sent: int
) -> None:
    put(1)
    calls = 0

    async def dies(self: Publisher, records: Iterable[Any]) -> list[Placed]:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise KeyboardInterrupt
        return await send(self, records)

    send = Publisher.send
    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "send", dies)
        with pytest.raises(KeyboardInterrupt):
            outcomes(settings)
    assert len(lying("messages")) == sent
    (letter,) = survey(settings, Wanted()).letters
    assert letter.state == ("open" if fails_at == 1 else "unclear")
    assert outcomes(settings) == ["already retried" if sent else "retried"]
    assert len(lying("messages")) == 1
    (letter,) = survey(settings, Wanted()).letters
    assert letter.state == "retried"
    assert letter.retried is not None
    assert (letter.retried.partition, letter.retried.offset) == lying("messages")[0].at[1:]


def test_a_record_that_keeps_failing_is_refused_after_so_many_retries(settings: Settings, put: Put, lying: Lying) -> None:
    put(1, headers=(("flagstream-retry", b"2"),))
    put(2, headers=(("flagstream-retry", b"3"),))
    done = retry(settings, survey(settings, Wanted()).letters, at=NOW)
    assert {(one.letter.offset, one.what) for one in done} == {(1, "retried"), (2, "refused")}
    assert "--max-retries 3" in next(one.why for one in done if one.what == "refused")
    (again,) = lying("messages")
    assert again.headers[0] == ("flagstream-retry", b"3")
    assert outcomes(settings, max_retries=4).count("retried") == 1


@pytest.mark.parametrize("count", [b"-1", b"x", b"", b"9" * 400])
def test_a_retry_header_that_makes_no_sense_does_no_harm(settings: Settings, put: Put, count: bytes) -> None:
    letter = put(1, headers=(("flagstream-retry", count),))
    assert letter.attempt >= 1
    assert outcomes(settings) == ["refused" if len(count) > 2 else "retried"]


def test_a_forged_letter_reaches_no_topic_but_the_inputs(settings: Settings, put: Put, lying: Lying) -> None:
    put(1, topic="flags")
    put(2, topic="dead-letters")
    put(3, topic="somebody-elses")
    put(4, topic="../messages")
    assert set(outcomes(settings)) == {"refused"}
    assert lying("flags") == []


def test_a_letter_without_its_value_is_refused(settings: Settings, put: Put, lying: Lying) -> None:
    put(1, value=None)
    assert outcomes(settings) == ["refused"]
    assert lying("messages") == []


def test_a_letter_of_an_action_goes_to_its_sink_alone(settings: Settings, put: Put, lying: Lying) -> None:
    letter = put(5, topic="flags", partition=2, key=b"entity", sink="hook", response=Response(status=410, body="gone"))
    assert outcomes(settings) == ["retried"]
    (again,) = lying("action-retries")
    assert (again.key, again.value, dict(again.headers)["flagstream-sink"]) == (b"entity", b"secret text", b"hook")
    assert dict(again.headers)["flagstream-letter"] == letter.id.encode()
    assert lying("flags") == []
    assert outcomes(settings) == ["already retried"]


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(settings: Settings, put: Put, lying: Lying) -> None:
    put(1)
    put(2, value=None)
    before = len(lying("dead-letters"))
    assert sorted(outcomes(settings, dry_run=True)) == ["refused", "would be retried"]
    assert lying("messages") == []
    assert len(lying("dead-letters")) == before


def test_records_of_a_partition_go_back_in_the_order_they_came_in(
    settings: Settings, put: Put, lying: Lying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "READ", 3)
    for number in range(11):
        put(number, value=b"%d" % number)
    assert outcomes(settings) == ["retried"] * 11
    assert [raw.value for raw in lying("messages")] == [b"%d" % number for number in range(11)]


def test_marks_repeat_nothing_of_the_record(settings: Settings, put: Put, lying: Lying) -> None:
    put(1, headers=(("secret", b"secret"),))
    outcomes(settings)
    marks = [DeadLetter.model_validate_json(raw.value or b"") for raw in lying("dead-letters")][1:]
    assert [mark.retried is not None for mark in marks] == [True, True]
    assert all(mark.value is None and mark.headers == () for mark in marks)


def test_a_broker_that_went_away_is_one_clear_error(settings: Settings, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(1)
    letters = survey(settings, Wanted()).letters
    with pytest.raises(BrokerError, match="no Kafka broker answers"):
        retry(settings.model_copy(update={"broker": "127.0.0.1:1"}), letters, at=NOW)
