"""The launcher of Apache Kafka: what it needs, what it says where that is missing, and outages of its nodes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from deploy.kafka import Cluster, KafkaMissingError, KafkaStartError, running_kafka
from deploy.kafka.jars import FOLDER_VARIABLE, folder, java, ready_jars, version
from deploy.kafka.metadata import known_brokers
from deploy.kafka.properties import Ports, node_properties, replication, written


def test_without_java_the_error_says_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaMissingError, match="needs Java 17 or later"):
        java()


def test_an_old_java_is_refused_by_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(KafkaMissingError, match="too old"):
        java()


def test_without_maven_and_jars_the_error_names_the_folder_to_fill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "jars"))
    with pytest.raises(KafkaMissingError, match=f"no mvn.*{tmp_path / 'jars'}"):
        ready_jars()


def test_what_maven_complains_of_is_passed_on_and_nothing_half_fetched_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] the repository is out of reach'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache" / "jars"))
    with pytest.raises(KafkaMissingError, match="the repository is out of reach"):
        ready_jars()
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == [".jars.lock"]


def test_a_folder_of_other_files_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(KafkaMissingError, match="holds other files"):
        ready_jars()
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_jars_that_are_there_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"kafka_2.13-{version()}.jar").touch()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert ready_jars() == tmp_path == folder()


def test_three_nodes_keep_three_copies_of_which_two_must_be_written() -> None:
    ports = [Ports(clients=9000 + n, controller=9100 + n) for n in range(3)]
    properties = node_properties(2, ports, Path("/data"), {})
    assert (properties["default.replication.factor"], properties["min.insync.replicas"]) == ("3", "2")
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9100,2@127.0.0.1:9101,3@127.0.0.1:9102"
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9001,CONTROLLER://127.0.0.1:9101"
    assert set(replication(1).values()) == {"1"}


def test_a_listener_of_the_callers_own_stands_beside_the_plain_one() -> None:
    extra = {"listeners": "SASL_SSL://127.0.0.1:9300", "listener.security.protocol.map": "SASL_SSL:SASL_SSL", "num.partitions": "9"}
    properties = node_properties(1, [Ports(clients=9000, controller=9100)], Path("/data"), extra)
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9000,SASL_SSL://127.0.0.1:9300"
    assert properties["listeners"].endswith("SASL_SSL://127.0.0.1:9300,CONTROLLER://127.0.0.1:9100")
    assert properties["listener.security.protocol.map"].endswith("PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL")
    assert properties["num.partitions"] == "9"


def test_backslashes_survive_the_properties_file() -> None:
    assert written({"log.dirs": "C:\\kafka"}) == "log.dirs=C:\\\\kafka\n"


@pytest.fixture
def kafka_here() -> None:
    """Skips by name where Kafka cannot be started."""
    try:
        java()
        ready_jars()
    except KafkaMissingError as error:
        pytest.skip(f"Apache Kafka: {error}")


@pytest.mark.kafka
@pytest.mark.usefixtures("kafka_here")
def test_the_launcher_says_where_kafka_is_ready_and_stops_it_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.kafka", "--data", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process:
        host, _, port = process.stdout.readline().removeprefix("ready ").strip().rpartition(":")
        assert known_brokers(host, int(port)) == {1}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    with pytest.raises(ConnectionRefusedError):
        known_brokers(host, int(port))


@pytest.mark.kafka
@pytest.mark.usefixtures("kafka_here")
async def test_a_node_killed_and_started_on_its_data_has_every_acknowledged_record(tmp_path: Path) -> None:
    with running_kafka(data=tmp_path) as cluster:
        await _create(cluster, "kept")
        assert await _write(cluster, "kept", 50) == list(range(50))
        cluster.nodes[0].kill()
        cluster.nodes[0].start()
        cluster.wait_ready()
        assert await _read(cluster, "kept", 50) == [str(n).encode() for n in range(50)]
    with running_kafka(data=tmp_path) as cluster:
        assert await _read(cluster, "kept", 50) == [str(n).encode() for n in range(50)]


@pytest.mark.kafka
@pytest.mark.usefixtures("kafka_here")
@pytest.mark.parametrize(("name", "value"), [("log.retention.hours", "soon"), ("listeners", "OTHER://127.0.0.1:1")])
def test_a_node_that_cannot_start_says_why(name: str, value: str) -> None:
    with pytest.raises(KafkaStartError, match=rf"Exception.*({name}|{value[:5]})"), running_kafka(settings={name: value}):
        pass


@pytest.mark.kafka
@pytest.mark.slow
async def test_of_three_nodes_one_may_die_and_with_two_gone_writes_are_refused_until_one_is_back(kafka_trio: Cluster) -> None:
    await _create(kafka_trio, "held", copies=3)
    assert await _write(kafka_trio, "held", 10) == list(range(10))
    _, second, third = kafka_trio.nodes
    third.kill()
    assert await _write(kafka_trio, "held", 10) == list(range(10, 20))
    second.pause()
    with pytest.raises(KafkaError):
        await _write(kafka_trio, "held", 1, timeout_s=4)
    second.resume()
    third.start()
    kafka_trio.wait_ready()
    found = await _read(kafka_trio, "held", 20)
    assert found[:20] == [str(n).encode() for n in range(10)] * 2


async def _create(cluster: Cluster, topic: str, copies: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, copies)])
    finally:
        await admin.close()


async def _write(cluster: Cluster, topic: str, count: int, *, timeout_s: int = 40) -> list[int]:
    async with AIOKafkaProducer(bootstrap_servers=cluster.address, acks="all", request_timeout_ms=timeout_s * 1000) as producer:
        return [(await producer.send_and_wait(topic, str(n).encode())).offset for n in range(count)]


async def _read(cluster: Cluster, topic: str, count: int) -> list[bytes | None]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=cluster.address, auto_offset_reset="earliest") as consumer:
        return [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]
