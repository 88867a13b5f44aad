"""The demo: embedded broker, worker and generated traffic as three processes, and a subscriber that shows the flags."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.console import Console
from rich.live import Live

from schemas.flag import Flag
from stream import topics
from stream.processes import running
from stream.settings import Settings
from stream.traffic.generate import traffic
from stream.view import render, row
from stream.watch import Watch

TICK_S = 0.02
DRAIN_TIMEOUT_S = 20.0
REFRESH_S = 0.25
WARMUP_PAUSE = 2_000


def run(*, seconds: float | None, rate: float, seed: int, live: bool) -> dict[str, Any]:
    """Run the demo for `seconds`, or until Ctrl-C, and return its summary. With `live` the flags are shown as they come."""
    folder = Path(tempfile.mkdtemp(prefix="flagstream-demo-"))
    console = Console(stderr=not live)
    try:
        with console.status("starting the broker and the worker …") if live else contextlib.nullcontext():
            stack = contextlib.ExitStack()
            broker = ["broker", "--port", "0", "--data", str(folder / "broker")]
            address, _ = stack.enter_context(running(broker, log=folder / "broker.log"))
            environ = {
                "FLAGSTREAM_BROKER": address, "FLAGSTREAM_STATE_DIR": str(folder / "state"), "FLAGSTREAM_WEB_PORT": "0",
                "FLAGSTREAM_PREFIX": "", "FLAGSTREAM_GROUP": "flagstream",
            }
            topics.create(Settings(broker=address))
            stack.enter_context(running(["worker"], log=folder / "worker.log", environ=environ))
        with stack:
            demo = _Demo(address, rate=rate, seed=seed, console=console, live=live)
            summary = asyncio.run(demo.run(seconds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if live:
        accounted = "every event is accounted for" if not summary["unaccounted"] else f"{summary['unaccounted']} events unfinished"
        console.print(
            f"\n{summary['messages_in']:,} messages and {summary['transactions_in']:,} transactions in, "
            f"{summary['flags']:,} flags and {summary['dead_letters']:,} dead letters out; {accounted}."
        )
    return summary


class _Demo:
    def __init__(self, broker: str, *, rate: float, seed: int, console: Console, live: bool) -> None:
        self._broker = broker
        self._rate = rate
        self._seed = seed
        self._console = console
        self._live = live
        self._watch = Watch()
        self._stopping = asyncio.Event()
        self._begun_s = time.monotonic()

    async def run(self, seconds: float | None) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        async with self._consumer("flags", "dead-letters") as consumer:
            watching = [asyncio.create_task(self._collect(consumer)), asyncio.create_task(self._show())]
            try:
                await self._produce(seconds)
                unaccounted = await self._drained()
                # The last acknowledged flags may still be on their way to this subscriber.
                await asyncio.sleep(0.5)
            finally:
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
        return self._watch.summary(unaccounted=unaccounted)

    async def _produce(self, seconds: float | None) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._broker, linger_ms=5, max_batch_size=262_144)
        await producer.start()
        try:
            self._begun_s = time.monotonic()
            warming = True
            for number, event in enumerate(traffic(self._seed, rate=self._rate, start=datetime.now(UTC))):
                if event.warmup:
                    if number % WARMUP_PAUSE == 0:
                        await asyncio.sleep(0)
                elif warming:
                    # The cards' past was sent in one go; latencies count from when it is dealt with.
                    warming = False
                    await producer.flush()
                    await self._drained()
                    self._watch.latencies_ms.clear()
                    self._begun_s = time.monotonic()
                due_s = event.due_s - (time.monotonic() - self._begun_s)
                if due_s > TICK_S:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), due_s)
                if self._stopping.is_set() or (seconds is not None and event.due_s >= seconds):
                    break
                await producer.send(event.topic, event.value, key=event.key)
                if event.topic == "messages":
                    self._watch.messages_in += 1
                else:
                    self._watch.transactions_in += 1
                self._watch.malformed_in += event.truth.kind == "malformed"
                self._watch.live_in += not event.warmup
        finally:
            await producer.stop()

    async def _collect(self, consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            if record.topic != "flags":
                self._watch.dead_letters += 1
                continue
            flag = Flag.model_validate_json(record.value)
            inside_ms = 0.0 if flag.timing is None else flag.timing.total_ms
            self._watch.see(flag, time.time() * 1000 - record.timestamp + inside_ms)
            if self._live and not self._console.is_terminal:
                self._console.print(*row(flag), soft_wrap=True)

    async def _show(self) -> None:
        if not (self._live and self._console.is_terminal):
            return
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                elapsed_s = time.monotonic() - self._begun_s
                live.update(render(self._watch, elapsed_s=elapsed_s, title="Ctrl-C ends it"), refresh=True)
                await asyncio.sleep(REFRESH_S)

    async def _drained(self) -> int:
        """Wait (bounded) until the worker has committed all events; how many it has not."""
        deadline_s = time.monotonic() + DRAIN_TIMEOUT_S
        while True:
            states = await asyncio.to_thread(topics.states, Settings(broker=self._broker))
            inputs = [state for state in states if state.name in ("messages", "transactions")]
            left = sum(sum(state.end_offsets) if state.lag is None else state.lag for state in inputs)
            if left == 0 or time.monotonic() > deadline_s:
                return left
            await asyncio.sleep(0.25)

    @asynccontextmanager
    async def _consumer(self, *names: str) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._broker, auto_offset_reset="earliest", fetch_max_wait_ms=100)
        await consumer.start()
        try:
            counts = await asyncio.to_thread(topics.partition_counts, Settings(broker=self._broker))
            consumer.assign([TopicPartition(name, partition) for name in names for partition in range(counts[name])])
            yield consumer
        finally:
            await consumer.stop()
