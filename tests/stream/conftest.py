"""A broker, traffic, workers as processes, and what the agents make of the same records outside any stream."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from agents.board import Board
from agents.fraud import CLOCK_KEY
from agents.protocol import StateKey
from agents.visits import TOPIC as VISITS
from schemas.codec import Position, RawRecord
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from stream import load, topics
from stream.app import HISTORIES, TERMINALS
from stream.names import Names
from stream.settings import Settings
from stream.traffic.generate import traffic

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read_all(broker: str, topic: str) -> list[RawRecord]:
    """All records that a topic has now, in order for each partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)
    with contextlib.closing(consumer):
        tps = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(tps)
        left = sum(ends.values())
        found: list[RawRecord] = []
        deadline = time.monotonic() + 30
        while len(found) < left and time.monotonic() < deadline:
            for tp, records in consumer.poll(500, max_records=5_000).items():
                found += [
                    RawRecord(Position(topic, tp.partition, one.offset), one.key, one.value, one.timestamp)
                    for one in records if one.offset < ends[tp]
                ]  # fmt: skip
    assert len(found) == left, f"read only {len(found)} of {left} records of {topic}"
    return sorted(found, key=lambda raw: raw.at)


@dataclass
class Stage:
    """One broker with the topics made, and the workers that were started on it."""

    broker: str
    names: Names
    folder: Path
    environ: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """What a client of this stage is told."""
        return Settings(broker=self.broker, prefix=self.names.prefix)

    def start_worker(self, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """A worker process; with `wait`, one that is ready."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "worker", *arguments], env=self.environ, stdout=sink, stderr=subprocess.STDOUT
            )
        self.workers.append(process)
        deadline = time.monotonic() + 120
        while wait and not any(line.startswith("ready ") for line in log.read_text().splitlines()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"not ready: {log.read_text()}"
            time.sleep(0.05)
        return process

    def log(self, number: int) -> str:
        """What a worker printed and logged."""
        return (self.folder / f"worker-{number}.log").read_text()

    def send(self, count: int, *, seed: int = 7, rate: float | None = None) -> int:
        """Send `count` generated events, at `rate` a second or as fast as they go; how many there were."""
        producer = KafkaProducer(bootstrap_servers=self.broker, linger_ms=5)
        began = time.monotonic()
        with contextlib.closing(producer):
            for number, event in enumerate(islice(traffic(seed, rate=1_000, start=NOW, warmup_days=3, cards=60), count)):
                if rate is not None and number % 20 == 0:
                    time.sleep(max(0.0, number / rate - (time.monotonic() - began)))
                producer.send(self.names.wire(event.topic), event.value, key=event.key)
            producer.flush()
        return count

    def lag(self) -> int:
        """Input records that the group has not committed."""
        inputs = {self.names.wire(name) for name in ("messages", "transactions")}
        states = [one for one in topics.states(self.settings) if one.name in inputs]
        return sum(sum(one.end_offsets) if one.lag is None else one.lag for one in states)

    def read(self, topic: str) -> list[RawRecord]:
        """All records of a topic of the table."""
        return read_all(self.broker, self.names.wire(topic))

    def until_done(self, timeout_s: float = 60.0) -> None:
        """Wait until every input is committed, and what it caused for terminals is too."""
        deadline = time.monotonic() + timeout_s
        while (lag := self.lag()) > 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"{lag} records uncommitted after {timeout_s} s; last log: {self.log(len(self.workers) - 1)[-3000:]}")
            time.sleep(0.2)
        visits = self._visits_end()
        while visits and (self._visits_end(committed=True) < visits or self._parked()):
            if time.monotonic() > deadline:
                raise AssertionError(f"transactions wait after {timeout_s} s; last log: {self.log(len(self.workers) - 1)[-3000:]}")
            time.sleep(0.5)

    def _visits_end(self, *, committed: bool = False) -> int:
        """Records for terminals so far, or of them those that are committed."""
        (state,) = (one for one in topics.states(self.settings) if one.name == self.names.wire(VISITS))
        return sum(state.end_offsets) - (0 if not committed else sum(state.end_offsets) if state.lag is None else state.lag)

    def _parked(self) -> int:
        """Transactions that wait at their terminals for an hour to close."""
        boards: dict[int, Board] = {}
        for raw in read_all(self.broker, topics.changelog_name(self.settings, TERMINALS)):
            if raw.key == b"b":
                boards[raw.at.partition] = Board.from_bytes(raw.value)
        return sum(demand.waiting for board in boards.values() for demand in board.parked.values())

    def flags(self) -> list[Flag]:
        """All published flags, repetitions included."""
        return [Flag.model_validate_json(raw.value or b"") for raw in self.read("flags")]

    def dead_letters(self) -> list[DeadLetter]:
        """All published dead letters, repetitions included."""
        return [DeadLetter.model_validate_json(raw.value or b"") for raw in self.read("dead-letters")]

    def changelog(self) -> dict[StateKey, bytes]:
        """The latest value of every card in the table's changelog."""
        records = read_all(self.broker, topics.changelog_name(self.settings, HISTORIES))
        return {StateKey(raw.at.partition, raw.key or b""): raw.value or b"" for raw in records if raw.key != CLOCK_KEY}

    def expected(self) -> tuple[dict[str, Flag], dict[str, DeadLetter], dict[StateKey, bytes]]:
        """What the agents make of the input topics record by record: flags and dead letters by id, and the state."""
        settings = Settings()
        policy = load.load_policy(settings)
        state: dict[StateKey, bytes] = {}
        flags: dict[str, Flag] = {}
        letters: dict[str, DeadLetter] = {}
        bundle, model = load.fraud_model(settings)
        for agent in (load.moderation_agent(settings, policy), load.fraud_agent(bundle, model, policy, state)):
            for raw in self.read(agent.topic):
                outcome = agent.handle([raw], at=NOW)
                state.update(outcome.state)
                flags.update((flag.id, flag) for flag in outcome.flags)
                letters.update((letter.id, letter) for letter in outcome.dead_letters)
        return flags, letters, state


@pytest.fixture
def stage(broker: str, prefix: str, tmp_path: Path) -> Iterator[Stage]:
    """A broker with the topics, and no worker yet. Workers still running at the end are killed."""
    names = Names(prefix)
    topics.create(Settings(broker=broker, prefix=prefix))
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLAGSTREAM_")},
        "FLAGSTREAM_BROKER": broker,
        "FLAGSTREAM_PREFIX": prefix,
        "FLAGSTREAM_STATE_DIR": str(tmp_path / "state"),
        "FLAGSTREAM_WEB_PORT": "0",
    }
    staged = Stage(broker, names, tmp_path, environ)
    yield staged
    for process in staged.workers:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def terminate() -> Callable[[subprocess.Popen[bytes]], int]:
    """Sends SIGTERM and gives the exit code."""

    def stop(process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(40)

    return stop
