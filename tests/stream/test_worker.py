"""The worker end to end: real sockets, real models, another process."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaProducer

from schemas.codec import Malformed, Position, RawRecord, decode
from schemas.transaction import Transaction

if TYPE_CHECKING:
    from tests.stream.conftest import Stage

Stop = Callable[["subprocess.Popen[bytes]"], int]


def test_every_event_is_flagged_or_not_exactly_as_the_agents_say(stage: Stage, terminate: Stop) -> None:
    stage.send(3_000)
    worker = stage.start_worker()
    stage.until_done()
    assert terminate(worker) == 0
    flags, letters, _ = stage.expected()
    published = {flag.id: flag for flag in stage.flags()}
    assert published.keys() == flags.keys()
    assert {flag.kind for flag in published.values()} == {"message", "transaction"}
    clock = {"flagged_at", "timing"}
    for flag_id, flag in published.items():
        assert flag.timing is not None
        assert flag.model_dump(exclude=clock) == flags[flag_id].model_dump(exclude=clock)
    assert {letter.id for letter in stage.dead_letters()} == letters.keys() != set()


UNREADABLE = (
    b"", b"{", b"null", b"[]", b"\xff\xfe", b'"text"', b"{}", b"\x00", b"[" * 100_000,
    b'{"id":"1","occurred_at":"9999-12-31T23:59:59Z","user_id":"u","text":"x"}',
    b'{"id":"1","occurred_at":"2026-01-01T00:00:00Z","user_id":"u","text":"\\ud800"}',
    b'{"id":"1","occurred_at":"2026-01-01T00:00:00Z","user_id":"u","text":"x","version":2}',
    b'{"id":["1"],"occurred_at":"2026-01-01T00:00:00Z","user_id":"u","text":"x"}',
    b'{"id":"1","occurred_at":"2026-01-01T00:00:00Z","text":"x"}',
)  # fmt: skip


def test_what_cannot_be_read_becomes_a_dead_letter_with_its_bytes_and_the_stream_goes_on(stage: Stage) -> None:
    stage.start_worker("--agents", "moderation")
    producer = KafkaProducer(bootstrap_servers=stage.broker)
    topic = stage.names.wire("messages")
    for value in (*UNREADABLE, None):
        producer.send(topic, value, key=b"k")
    producer.send(topic, b'{"id":"ok","occurred_at":"2026-01-01T00:00:00Z","user_id":"u","text":"hello"}', key=b"k")
    producer.close()
    stage.until_done()
    letters = stage.dead_letters()
    assert [letter.value for letter in sorted(letters, key=lambda one: one.offset)] == [*UNREADABLE, None]
    assert {(letter.key, letter.topic) for letter in letters} == {(b"k", topic)}
    assert all(letter.error_text for letter in letters)


@pytest.mark.parametrize(
    ("field", "value"),
    [("amount_minor", -1), ("amount_minor", 1e400), ("amount_minor", "x"), ("currency", "EURO"), ("occurred_at", "soon")],
)
def test_transactions_that_cannot_be_are_dead_letters(field: str, value: object) -> None:
    body = {"id": "1", "occurred_at": "2026-01-01T00:00:00Z", "account_id": "a", "amount_minor": 5, "currency": "EUR", field: value}
    raw = RawRecord(Position("transactions", 0, 0), b"a", json.dumps(body).encode(), 1_795_000_000_000)
    assert isinstance(decode(Transaction, raw), Malformed)


def test_hostile_but_readable_messages_pass_through_the_stream(stage: Stage) -> None:
    stage.start_worker("--agents", "moderation")
    producer = KafkaProducer(bootstrap_servers=stage.broker, max_request_size=1 << 21)
    texts = ["", "\x00" * 50, "a" * 900_000, "\u202e\u200b" * 1_000, "🤬" * 500, "e\u0301" * 3_000, "\u0fff\U000e0041" * 100]
    for number, text in enumerate(texts):
        body = {"id": number, "occurred_at": "2026-01-01T00:00:00Z", "user_id": "u", "text": text, "unknown": {"x": [1]}}
        producer.send(stage.names.wire("messages"), json.dumps(body).encode(), key=b"u")
    producer.close()
    stage.until_done()
    assert stage.dead_letters() == []


def test_a_dead_letter_larger_than_the_broker_takes_keeps_position_and_digest(stage: Stage) -> None:
    import hashlib
    import random

    stage.start_worker("--agents", "moderation")
    noise = random.Random(5).randbytes(1_000_000)
    producer = KafkaProducer(bootstrap_servers=stage.broker, max_request_size=1 << 22)
    producer.send(stage.names.wire("messages"), noise, key=b"k")
    producer.close()
    stage.until_done()
    (letter,) = stage.dead_letters()
    assert letter.value == noise or hashlib.sha256(noise).hexdigest() in letter.error_text


def test_health_readiness_and_metrics_are_served(stage: Stage) -> None:
    stage.start_worker()
    address = next(line.split()[1] for line in stage.log(0).splitlines() if line.startswith("ready "))
    for path in ("health", "ready"):
        with urllib.request.urlopen(f"http://{address}/{path}", timeout=5) as answer:
            assert answer.status == 200
    stage.send(200)
    stage.until_done()
    time.sleep(0.1)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'flagstream_records_total{topic="transactions"} ' in text


def test_a_worker_starts_within_seconds(stage: Stage) -> None:
    began = time.monotonic()
    stage.start_worker()
    # Not a speed claim: a bound far above the measured start, which a hang would cross.
    assert time.monotonic() - began < 30


def test_a_worker_told_to_stop_before_it_has_begun_ends_cleanly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(120)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        worker = subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--broker", address], stderr=subprocess.PIPE)
        # A broker that takes connections and never answers: the worker has come as far as asking it.
        silent.accept()
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=120)
    assert worker.returncode == 0, said
    assert b"Traceback" not in said
