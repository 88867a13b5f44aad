"""Flags on a broker, `act` as a process, and HTTP servers that behave well, badly, or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from schemas.codec import encode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from schemas.signature import SignatureError, verify
from stream import topics
from stream.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"


Behaviour = Callable[[web.Request, int], "web.StreamResponse | None"]
"""What to answer the nth request (from 1); None: 200."""


@dataclass
class Receiver:
    """An HTTP server in a thread of its own. `seen` are the idempotency keys in order of arrival, `taken` those answered with 200: as an
    endpoint that honours the key takes each once."""

    seen: list[str] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    entities: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    delay_s: float = 0.0
    hang: bool = False
    secrets: tuple[str, ...] = (SECRET,)
    behave: Behaviour = lambda _, __: None
    url: str = ""
    first_s: float = 0.0
    last_s: float = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.last_s = time.monotonic()
        self.first_s = self.first_s or self.last_s
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        self.seen.append(key)
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if self.secrets:
            try:
                assert verify(body, request.headers, secrets=self.secrets, now_s=time.time()) == key
            except SignatureError as error:
                self.problems.append(str(error))
        if self.hang:
            await asyncio.sleep(3600)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        answer = self.behave(request, len(self.seen))
        if answer is not None:
            return answer
        if key not in self.taken and self.secrets:
            content = json.loads(body)
            self.entities.append((content["entity"], content["event"]["offset"]))
        self.taken[key] += 1
        return web.Response(text="ok")

    @property
    def in_order(self) -> bool:
        """Whether each entity's flags were taken in the order of the topic."""
        latest: dict[str, int] = {}
        for entity, offset in self.entities:
            if latest.get(entity, -1) > offset:
                return False
            latest[entity] = offset
        return True


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    runners: list[web.AppRunner] = []

    async def begin(one: Receiver) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", one.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/flags"
        runners.append(runner)

    def start(**options: Any) -> Receiver:
        one = Receiver(**options)
        asyncio.run_coroutine_threadsafe(begin(one), loop).result(10)
        return one

    async def end() -> None:
        await asyncio.gather(*(runner.cleanup() for runner in runners))

    yield start
    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@dataclass
class Stage:
    """A broker with the topics made, and the `act` processes that were started on it."""

    broker: str
    prefix: str
    folder: Path
    environ: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(broker=self.broker, prefix=self.prefix)

    def publish(self, *records: Flag | bytes, topic: str = "flags", headers: list[tuple[str, bytes]] | None = None) -> None:
        producer = KafkaProducer(bootstrap_servers=self.broker, linger_ms=20, batch_size=262_144)
        for record in records:
            key, value = (None, record) if isinstance(record, bytes) else (record.entity.encode(), encode(record))
            producer.send(f"{self.prefix}{topic}", value=value, key=key, headers=headers)
        producer.flush()
        producer.close()

    def start(self, rules: str, *arguments: str, wait: bool = True) -> subprocess.Popen[bytes]:
        """An `act` process on these rules; with `wait`, one that is ready. Sinks begin at the earliest flag unless the rules say."""
        file = self.folder / "actions.toml"
        file.write_text(rules)
        log = self.folder / f"act-{len(self.processes)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stream.cli", "act", str(file), *arguments], env=self.environ, stdout=out, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        if wait:
            until(lambda: process.poll() is not None or bool(self.address()), f"not ready: {log.read_text()}")
            assert process.poll() is None, log.read_text()
        return process

    def log(self, number: int = -1) -> str:
        return (self.folder / f"act-{number % len(self.processes)}.log").read_text()

    def address(self) -> str:
        ready = [line for line in self.log().splitlines() if line.startswith("ready ")]
        return ready[0].removeprefix("ready ") if ready else ""

    def metrics(self) -> dict[str, float]:
        """Samples by name and labels, as they stand on the page."""
        page = urllib.request.urlopen(f"http://{self.address()}/metrics", timeout=30).read().decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if not line.startswith("#")}

    def uncommitted(self, sink: str) -> int:
        """Flags that the sink's group has not committed."""
        states = topics.states(self.settings.model_copy(update={"group": f"flagstream.act.{sink}"}))
        (flags,) = [one for one in states if one.name == f"{self.prefix}flags"]
        return sum(flags.end_offsets) if flags.lag is None else flags.lag

    def read(self, topic: str) -> list[Any]:
        """All records of a topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.broker, enable_auto_commit=False)
        try:
            tps = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(tps)
            consumer.seek_to_beginning()
            left = sum(consumer.end_offsets(tps).values())
            found: list[Any] = []
            deadline = time.monotonic() + 60
            while len(found) < left and time.monotonic() < deadline:
                found += [one for many in consumer.poll(500, max_records=5_000).values() for one in many]
        finally:
            consumer.close()
        assert len(found) == left
        return found

    def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter.model_validate_json(one.value) for one in self.read(f"{self.prefix}dead-letters")]

    def terminate(self, process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(60)


def until(true: Callable[[], bool], otherwise: str = "it did not come about", *, within_s: float = 150.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


@pytest.fixture
def stage(broker: str, prefix: str, tmp_path: Path) -> Iterator[Stage]:
    """A broker with the topics, and nothing that acts yet. What still runs at the end is killed."""
    topics.create(Settings(broker=broker, prefix=prefix))
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLAGSTREAM_")},
        "FLAGSTREAM_BROKER": broker,
        "FLAGSTREAM_PREFIX": prefix,
        "FLAGSTREAM_WEB_PORT": "0",
        "HOOK_SECRET": SECRET,
    }
    staged = Stage(broker, prefix, tmp_path, environ)
    yield staged
    for process in staged.processes:
        if process.poll() is None:
            process.kill()
        process.wait()
