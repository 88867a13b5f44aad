"""Dead letters of a running worker, sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kafka import KafkaProducer

from stream.dead_letters.letter import Wanted
from stream.dead_letters.read import survey
from stream.dead_letters.retry import retry

if TYPE_CHECKING:
    from tests.stream.conftest import Stage


def test_a_record_that_fails_again_becomes_a_letter_of_its_own_until_it_is_refused(stage: Stage) -> None:
    stage.start_worker("--agents", "moderation")
    producer = KafkaProducer(bootstrap_servers=stage.broker)
    producer.send(stage.names.wire("messages"), b"{", key=b"k", headers=[("trace", b"7")], partition=2)
    producer.close()
    outcomes = []
    for _ in range(4):
        stage.until_done()
        done = retry(stage.settings, survey(stage.settings, Wanted()).letters, at=datetime.now(UTC))
        outcomes.append([one.what for one in done if one.what != "already retried"])
    assert outcomes == [["retried"], ["retried"], ["retried"], ["refused"]]
    letters = sorted((letter for letter in stage.dead_letters() if letter.retried is None), key=lambda letter: letter.attempt)
    assert [(letter.attempt, letter.partition, letter.key, letter.value) for letter in letters] == [(n, 2, b"k", b"{") for n in (1, 2, 3, 4)]
    assert all(letter.headers[0].name == "trace" and letter.headers[0].value == b"7" for letter in letters)
