"""The access that docs/brokers.md lists for each role is enough for it, over TLS with a password, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from kafka import KafkaProducer
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from kafka.errors import TopicAuthorizationFailedError

from agents.isolation import dead_letter
from deploy.kafka import KafkaMissingError
from deploy.kafka.cluster import free_ports
from deploy.kafka.secured import SecuredCluster, running_secured_kafka
from schemas.base import Contract
from schemas.codec import Position, RawRecord, encode
from stream.clients import kafka_python_options
from stream.processes import running
from stream.replay.topic import read_all
from stream.settings import Settings
from stream.subscribe import subscribe
from tests.flags import make_flag

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]

PAGE = Path(__file__).parent.parent.parent / "docs" / "brokers.md"
HEADING = "## What each role may do"
PASSWORDS = {role: f"{role}-pa55" for role in ("worker", "subscriber", "replayer", "sender", "actor", "operator")}
READY_S = 90
EVENT = '{{"id":"{}","occurred_at":"2026-11-23T10:00:00Z","user_id":"u1","text":"I will find you and kill you, you worthless idiot"}}'


def _grants() -> list[tuple[str, str, str, str]]:
    """Role, kind of resource, its name, operation, as the page lists them."""
    section = PAGE.read_text().split(HEADING, 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (topic|group) \| `([\w.-]+)` \| ([\w, ]+) \|", section, flags=re.MULTILINE)
    return [(role, kind, name, operation) for role, kind, name, operations in rows for operation in operations.split(", ")]


def _access(role: str, kind: str, name: str, operation: str) -> ACL:
    pattern = ResourcePattern(ResourceType[kind.upper()], name)
    return ACL(f"User:{role}", "*", ACLOperation[operation.upper()], ACLPermissionType.ALLOW, pattern)


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredCluster]:
    """A node with the topics made by an administrator and access as the page lists it."""
    try:
        with running_secured_kafka(PASSWORDS) as running:
            with contextlib.closing(KafkaAdminClient(bootstrap_servers=running.cluster.address)) as admin:
                assert not admin.create_acls([_access(*grant) for grant in _grants()])["failed"]
                admin.alter_user_scram_credentials(
                    [UserScramCredentialUpsertion(role, ScramMechanism.SCRAM_SHA_512, word) for role, word in PASSWORDS.items()]
                )
            _flagstream("topics", "create", FLAGSTREAM_BROKER=running.cluster.address).check_returncode()
            yield running
    except KafkaMissingError as error:
        pytest.skip(f"Apache Kafka: {error}")


def _flagstream(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stream.cli", *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=READY_S)


def _environment(secured: SecuredCluster, role: str, mechanism: str) -> dict[str, str]:
    return {
        "FLAGSTREAM_BROKER": secured.address, "FLAGSTREAM_SECURITY_PROTOCOL": "SASL_SSL", "FLAGSTREAM_SSL_CAFILE": str(secured.cafile),
        "FLAGSTREAM_SASL_MECHANISM": mechanism, "FLAGSTREAM_SASL_USERNAME": role,
        "FLAGSTREAM_SASL_PASSWORD": PASSWORDS[role],
    }  # fmt: skip


def _settings(secured: SecuredCluster, role: str) -> Settings:
    given = {name.removeprefix("FLAGSTREAM_").lower(): value for name, value in _environment(secured, role, "PLAIN").items()}
    return Settings.model_validate(given)


@contextlib.contextmanager
def _worker(environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    port = free_ports(1)[0].clients
    environ = {**os.environ, **environment, "FLAGSTREAM_WEB_PORT": str(port), "FLAGSTREAM_STATE_DIR": str(folder / "state")}
    with (folder / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "worker"], env=environ, cwd=folder, stdout=log, stderr=log, text=True
        )
    try:
        deadline_s = time.monotonic() + READY_S
        while process.poll() is None and not _ready(port) and time.monotonic() < deadline_s:
            time.sleep(0.2)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_each_role_does_its_work_with_the_access_listed(
    secured: SecuredCluster, mechanism: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = EVENT.format(mechanism).encode()
    for name, value in _environment(secured, "subscriber", mechanism).items():
        monkeypatch.setenv(name, value)
    with _worker(_environment(secured, "worker", mechanism), tmp_path) as worker:
        assert worker.poll() is None, (tmp_path / "worker.log").read_text()[-2000:]
        with contextlib.closing(KafkaProducer(**kafka_python_options(_settings(secured, "sender")))) as producer:
            producer.send("messages", event, key=b"u1").get(timeout=30)
        with subscribe(group="payments", start="earliest", idle_timeout_s=30) as flags:
            assert any(flag.event.id == mechanism for flag in flags)
    assert worker.returncode == 0
    replayed = [record.value for batch in read_all(_settings(secured, "replayer"), "messages") for record in batch]
    assert event in replayed
    told = (tmp_path / "worker.log").read_text()
    assert not any(password in told for password in PASSWORDS.values())


def test_flags_reach_an_asyncio_loop_a_terminal_and_a_sink(secured: SecuredCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What a worker would publish.
    _published(secured, "flags", make_flag(1))
    for name, value in _environment(secured, "subscriber", "SCRAM-SHA-512").items():
        monkeypatch.setenv(name, value)

    async def arrives() -> bool:
        async with subscribe(group="payments", start="earliest", idle_timeout_s=30) as flags:
            async for flag in flags:
                if flag.id == "flag-1":
                    return True
            return False

    assert asyncio.run(arrives())
    shown = _flagstream("tail", "--since", "1h", "--no-follow", "--json")
    assert '"id":"flag-1"' in shown.stdout, shown.stderr
    rules, lines = tmp_path / "actions.toml", tmp_path / "flags.jsonl"
    rules.write_text(f'[sinks.audit]\ntype = "file"\npath = "{lines}"\nstart = "earliest"\n[[rules]]\nto = ["audit"]\n')
    environ = {**_environment(secured, "actor", "SCRAM-SHA-512"), "FLAGSTREAM_WEB_PORT": "0"}
    with running(["act", str(rules)], log=tmp_path / "act.log", environ=environ) as (_, process):
        deadline_s = time.monotonic() + READY_S
        while '"id":"flag-1"' not in lines.read_text() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.2)
    assert '"id":"flag-1"' in lines.read_text(), (tmp_path / "act.log").read_text()[-2000:]
    assert process.returncode == 0


def test_dead_letters_are_listed_and_go_back(secured: SecuredCluster) -> None:
    raw = RawRecord(Position("messages", 0, 4711), None, b"no message", 0)
    _published(secured, "dead-letters", dead_letter(raw, error_class="Malformed", error_text="made up", at=datetime.now(UTC)))
    environ = _environment(secured, "operator", "PLAIN")
    listed = json.loads(_flagstream("dead-letters", "list", "--reason", "made up", "--json", **environ).stdout)
    assert [letter["offset"] for letter in listed["letters"]] == [4711]
    sent = _flagstream("dead-letters", "retry", "--reason", "made up", "--json", **environ)
    assert json.loads(sent.stdout)["retried"] == 1, sent.stderr
    assert any(record.value == b"no message" for batch in read_all(_settings(secured, "replayer"), "messages") for record in batch)


def _published(secured: SecuredCluster, topic: str, body: Contract) -> None:
    with contextlib.closing(KafkaProducer(bootstrap_servers=secured.cluster.address)) as producer:
        producer.send(topic, encode(body)).get(timeout=30)


@pytest.mark.parametrize(("role", "topic"), [("subscriber", "flags"), ("replayer", "flags"), ("sender", "flags"), ("worker", "messages")])
def test_no_role_writes_where_it_has_no_business(secured: SecuredCluster, role: str, topic: str) -> None:
    options = kafka_python_options(_settings(secured, role))
    with contextlib.closing(KafkaProducer(**options, enable_idempotence=False)) as producer:
        with pytest.raises(TopicAuthorizationFailedError):
            producer.send(topic, b"forged").get(timeout=30)


@pytest.mark.parametrize(("who", "word"), [("worker", "wrong-pa55"), ("nobody", "worker-pa55")])
def test_who_is_not_let_in_is_told_so_in_one_line(secured: SecuredCluster, who: str, word: str, tmp_path: Path) -> None:
    login = {"FLAGSTREAM_SASL_USERNAME": who, "FLAGSTREAM_SASL_PASSWORD": word, "FLAGSTREAM_STATE_DIR": str(tmp_path)}
    told = _flagstream("worker", **{**_environment(secured, "worker", "SCRAM-SHA-512"), **login})
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    assert word not in told.stderr + told.stdout
