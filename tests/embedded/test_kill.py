"""A broker killed under load has lost nothing that it acknowledged."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

ROOT = Path(__file__).parent.parent.parent
TOPIC, PARTITIONS = "load", 4


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Killable:
    """A broker in a process of its own, always on the same port and directory."""

    def __init__(self, folder: Path, fsync: str) -> None:
        self.folder, self.fsync, self.port = folder, fsync, free_port()
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        script = Path(__file__).parent / "broker_process.py"
        command = [sys.executable, str(script), str(self.folder), str(self.port), self.fsync, "1000000"]
        log = self.folder.with_suffix(".log").open("ab")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)})
        log.close()
        deadline = time.monotonic() + 120  # a loaded machine
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None, self.folder.with_suffix(".log").read_text()
            time.sleep(0.02)
        raise TimeoutError("the broker did not start")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(params=["interval"])
def killable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killable]:
    broker = Killable(tmp_path / "data", request.param)
    yield broker
    broker.kill()


def place_of(message: Any) -> tuple[int, int]:
    return message.partition(), message.offset()


class Load:
    """A producer that goes on through outages, and a group that commits what it has read; both remember what was acknowledged."""

    def __init__(self, address: str) -> None:
        self.acked: dict[tuple[int, int], bytes] = {}
        self.committed = [0] * PARTITIONS
        self.errors: list[str] = []
        self._address = address
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._produce), threading.Thread(target=self._commit)]
        for thread in self._threads:
            thread.start()

    def _produce(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._address,
                "enable.idempotence": True,
                "linger.ms": 1,
                "reconnect.backoff.max.ms": 100,
                "retry.backoff.ms": 20,
                "message.timeout.ms": 0,
                "log_level": 0,
            }
        )
        number = 0

        def told(error: Any, message: Any) -> None:
            if error is not None:
                self.errors.append(str(error))
            else:
                self.acked[place_of(message)] = message.value()

        while not self._stop.is_set():
            for _ in range(50 if len(producer) < 2_000 else 0):
                producer.produce(TOPIC, b"%d-" % number + b"x" * (number % 300), partition=number % PARTITIONS, callback=told)
                number += 1
            producer.poll(0.01)
        assert producer.flush(30) == 0
        self.sent = number

    def _commit(self) -> None:
        committer = Consumer({"bootstrap.servers": self._address, "group.id": "g", "log_level": 0})
        while not self._stop.is_set():
            for partition in range(PARTITIONS):
                offset = self.committed[partition] + 1
                try:
                    done = committer.commit(offsets=[TopicPartition(TOPIC, partition, offset)], asynchronous=False)
                except KafkaException:  # the outage: what was not answered may or may not hold
                    time.sleep(0.05)
                    continue
                if done and done[0].error is None:
                    self.committed[partition] = offset
        committer.close()

    def wait_for_acks(self) -> None:
        """Returns once more has been acknowledged than before the call, so that a kill comes under load."""
        before, deadline = len(self.acked), time.monotonic() + 30
        while len(self.acked) == before:
            assert time.monotonic() < deadline, "nothing is acknowledged any more"
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def stored(address: str) -> dict[tuple[int, int], bytes]:
    """Every record of the topic by its place."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "enable.partition.eof": False, "check.crcs": True})
    found: dict[tuple[int, int], bytes] = {}
    places = [TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)]
    ends = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
    consumer.assign(places)
    deadline = time.monotonic() + 60
    while len(found) < ends and time.monotonic() < deadline:
        for message in consumer.consume(5_000, 1.0):
            assert message.error() is None
            found[place_of(message)] = message.value() or b""
    consumer.close()
    assert len(found) == ends
    return found


def committed(address: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "g"})
    got = consumer.committed([TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)], timeout=20)
    consumer.close()
    return [max(each.offset, 0) for each in got]


def run(broker: Killable, kills: int) -> None:
    load, rng = Load(broker.address), random.Random(kills)
    for _ in range(kills):
        load.wait_for_acks()
        time.sleep(rng.uniform(0, 0.3))
        broker.kill()
        broker.start()
    load.wait_for_acks()
    load.stop()
    assert load.errors == []
    found = stored(broker.address)
    lost = [place for place, value in load.acked.items() if found.get(place) != value]
    assert lost == []
    values = list(found.values())
    assert len(values) == len(set(values)), "an idempotent producer's record is stored twice"
    assert len(load.acked) == load.sent == len(found) > 0
    for got, answered in zip(committed(broker.address), load.committed, strict=True):
        assert answered <= got <= answered + 1


def test_three_kills_under_load_lose_nothing_acknowledged(killable: Killable) -> None:
    run(killable, kills=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("killable", ["always"], indirect=True)
def test_fifty_kills_under_load_with_every_write_flushed_lose_nothing_acknowledged(killable: Killable) -> None:
    run(killable, kills=50)
