"""Terminals in the stream, against one process that folds the same events in the order of time: every score, to the last digit."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer

from agents.assess import Assessor, Case
from models.ledger import Ledger, in_time_order
from schemas.codec import Record, decode, encode
from schemas.flag import Flag, Provenance
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream import load
from stream.replay.request import Request
from stream.replay.run import replay
from stream.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stream.conftest import Stage

START = datetime(2026, 10, 1, tzinfo=UTC)
POLICY = """name = "everything"
[labels.fraud]
review = 0.0
severity = "high"
"""
CLOCK = {"flagged_at", "timing"}


def scene(seed: int, *, transactions: int, days: float) -> tuple[list[Transaction], list[Verdict]]:
    """Payments at a few terminals, one of which turns bad, and what became known of them, out of order."""
    chance = random.Random(seed)
    paid, said = [], []
    for number, at in enumerate(sorted(chance.uniform(0, days) for _ in range(transactions))):
        place = chance.choice(["good", "fair", "bad", "far", None])
        card, amount = f"card-{chance.randrange(12)}", chance.randrange(500, 9_000)
        tx = Transaction(
            id=f"t{seed}-{number}", occurred_at=START + timedelta(days=at), account_id="a", card_id=card, amount_minor=amount, currency="EUR",
            terminal_id=place,
        )
        paid.append(tx)
        if chance.random() < (0.8 if place == "bad" and at > days / 3 else 0.03):
            known = tx.occurred_at + timedelta(days=chance.uniform(0.01, days / 4))
            said.append(Verdict(id=f"v{tx.id}", event_id=tx.id, label="fraud", outcome="fraud", source="chargeback", occurred_at=known))
    for wrong in chance.sample(said, len(said) // 6):
        known = wrong.occurred_at + timedelta(hours=3)
        said.append(wrong.model_copy(update={"id": f"{wrong.id}-withdrawn", "outcome": "legitimate", "occurred_at": known}))
    chance.shuffle(said)
    return paid, said


def send(stage: Stage, topic: str, events: Iterable[tuple[str, Transaction | Verdict]]) -> None:
    producer = KafkaProducer(bootstrap_servers=stage.broker, linger_ms=5)
    with contextlib.closing(producer):
        for key, event in events:
            producer.send(stage.names.wire(topic), encode(event), key=key.encode())
        producer.flush()


def send_all(stage: Stage, paid: Sequence[Transaction], said: Sequence[Verdict]) -> None:
    send(stage, "verdicts", ((verdict.event_id, verdict) for verdict in said))
    send(stage, "transactions", ((tx.entity, tx) for tx in paid))


def expected(stage: Stage, said: Sequence[Verdict], policy: Path) -> dict[str, dict[str, Any]]:
    """What one process says of the transactions on the topic, by event."""
    settings = Settings(policy=policy)
    bundle, model = load.fraud_model(settings)
    rules = load.load_policy(settings)
    records = {}
    for raw in stage.read("transactions"):
        found = decode(Transaction, raw)
        assert isinstance(found, Record)
        records[found.body.id] = found
    ledger = Ledger(model.vector)
    first = min(verdict.occurred_at for verdict in said)
    cases = []
    for event in in_time_order([record.body for record in records.values()], said):
        if isinstance(event, Verdict):
            ledger.learn(event)
            continue
        hour = event.occurred_at.replace(minute=0, second=0, microsecond=0)
        known = event.place is not None and first < hour
        cases.append(Case(event=records[event.id], row=ledger.see(event), not_assessed=() if known else ("terminal",)))
    provenance = Provenance(model=bundle.digest, policy=rules.digest)
    flags = Assessor(model, rules, provenance, tier=bundle.card.name).assess(cases, at=START)
    return {flag.event.id: flag.model_dump(exclude=CLOCK) for flag in flags if isinstance(flag, Flag)}


def published(stage: Stage) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for flag in stage.flags():
        said = flag.model_dump(exclude=CLOCK)
        assert found.setdefault(flag.event.id, said) == said, "a repetition says the same"
    return found


def replayed(stage: Stage, policy: Path) -> dict[str, dict[str, Any]]:
    """What a replay says that knows the verdicts."""
    settings = Settings(broker=stage.broker, prefix=stage.names.prefix, policy=policy)
    out = stage.folder / "replayed.jsonl"
    request = Request(topic="transactions", verdicts="verdicts", against="flags", folder=stage.folder / "replay", flags=out, processes=1)
    counts = replay(settings, request).to_json()
    assert (counts["newly_flagged"], counts["newly_cleared"], counts["changed"]) == (0, 0, 0)
    flags = [Flag.model_validate_json(line) for line in out.read_bytes().splitlines()]
    return {flag.event.id: flag.model_dump(exclude=CLOCK) | {"mode": "live"} for flag in flags}


@pytest.fixture
def policy(stage: Stage) -> Path:
    path = stage.folder / "policy.toml"
    path.write_text(POLICY)
    stage.environ |= {"FLAGSTREAM_POLICY": str(path), "FLAGSTREAM_TERMINAL_WAIT_S": "3600"}
    return path


def test_a_backlog_is_judged_as_one_process_would_judge_it(stage: Stage, policy: Path) -> None:
    paid, said = scene(1, transactions=900, days=25)
    send_all(stage, paid, said)
    stage.start_worker("--agents", "fraud")
    stage.until_done(90)
    found, wanted = published(stage), expected(stage, said, policy)
    assert found == wanted
    assert len(found) == len(paid)
    assert replayed(stage, policy) == wanted
    reasons = [reason["code"] for flag in found.values() for reason in flag["reasons"]]
    assert reasons.count("known_fraud_place") > 50


def test_two_workers_of_whom_one_is_killed_and_one_joins_late_say_the_same(stage: Stage, policy: Path) -> None:
    paid, said = scene(2, transactions=1_200, days=20)
    half = len(paid) // 2
    stage.start_worker("--agents", "fraud")
    send_all(stage, paid[:half], said)
    second = stage.start_worker("--agents", "fraud")
    time.sleep(1.0)
    stage.workers[0].send_signal(signal.SIGKILL)
    send_all(stage, paid[half:], ())
    stage.start_worker("--agents", "fraud")
    stage.until_done(150)
    assert second.poll() is None
    assert published(stage) == expected(stage, said, policy) == replayed(stage, policy)


def test_without_verdicts_no_terminal_is_taken_for_clean(stage: Stage, policy: Path) -> None:
    paid, _ = scene(3, transactions=100, days=5)
    send_all(stage, paid, ())
    stage.start_worker("--agents", "fraud")
    stage.until_done(60)
    assert [flag["not_assessed"] for flag in published(stage).values()] == [("terminal",)] * len(paid)


