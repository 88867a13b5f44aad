"""A subscriber that is killed again and again: nothing is lost, and what comes again is what was not committed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from schemas.flag import Flag
from tests.flags import make_flag

from .conftest import Publish

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
import asyncio, os, sys, time
from stream.subscribe import subscribe

broker, prefix, mode, seen, idle_s = sys.argv[1:]
done = os.open(seen, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
# The broker waits for a killed member as long as its session may last.
client = {"session_timeout_ms": 2_000, "heartbeat_interval_ms": 200}
flags = subscribe(group="g", broker=broker, prefix=prefix, idle_timeout_s=float(idle_s), client=client)

def body(flag):
    time.sleep(0.001)
    os.write(done, (flag.id + "\\n").encode())

async def loop():
    async with flags:
        async for flag in flags:
            body(flag)
            await asyncio.sleep(0)

if mode == "asyncio":
    asyncio.run(loop())
else:
    with flags:
        for flag in flags:
            body(flag)
"""


class Lives:
    """One subscriber after the other, and what each has done."""

    def __init__(self, broker: str, prefix: str, folder: Path) -> None:
        self._broker, self._prefix, self._folder = broker, prefix, folder
        self.files: list[Path] = []

    def begin(self, *, idle_s: float = 3_600) -> subprocess.Popen[bytes]:
        self.files.append(self._folder / f"life-{len(self.files)}")
        mode = "asyncio" if len(self.files) % 2 else "blocking"
        return subprocess.Popen([sys.executable, "-c", SCRIPT, self._broker, self._prefix, mode, str(self.files[-1]), str(idle_s)], cwd=ROOT)

    def done(self, life: int) -> list[str]:
        """The ids whose bodies returned in that life, in order."""
        path = self.files[life]
        return path.read_text().splitlines() if path.exists() else []


def committed(broker: str, prefix: str) -> dict[int, int]:
    with closing(KafkaAdminClient(bootstrap_servers=broker)) as admin:
        found = admin.list_group_offsets(f"{prefix}g").get(f"{prefix}g", {})
    return {place.partition: one.offset for place, one in found.items() if place.topic == f"{prefix}flags"}


def places(broker: str, prefix: str) -> dict[str, list[tuple[int, int]]]:
    """Where the flags lie, each perhaps more than once."""
    found: dict[str, list[tuple[int, int]]] = {}
    with closing(KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False)) as consumer:
        tps = [TopicPartition(f"{prefix}flags", number) for number in range(2)]
        consumer.assign(tps)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(tps)
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for tp, records in consumer.poll(500).items():
                for record in records:
                    found.setdefault(Flag.model_validate_json(record.value).id, []).append((tp.partition, record.offset))
    return found


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_a_subscriber_that_is_killed_does_every_flag_and_repeats_only_what_was_not_committed(
    broker: str, prefix: str, publish: Publish, tmp_path: Path, capsys: pytest.CaptureFixture[str], kills: int
) -> None:
    chance = random.Random(kills)
    lives = Lives(broker, prefix, tmp_path)
    safe: list[dict[int, int]] = []
    total = 0

    def publish_some(count: int) -> None:
        nonlocal total
        # Each flag twice in a row, as after a worker's crash.
        publish(*(make_flag(number) for number in range(total, total + count) for _ in range(2)))
        total += count

    for kill in range(kills):
        publish_some(800)
        process = lives.begin()
        try:
            deadline = time.monotonic() + 60
            # Every fourth is killed while it starts or joins, the others while they work.
            while kill % 4 != 3 and not lives.done(kill) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(chance.uniform(0.0, 1.6))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        safe.append(committed(broker, prefix))
    last = lives.begin(idle_s=1.0)
    try:
        assert last.wait(100) == 0
    finally:
        last.kill()
        last.wait()

    lying = places(broker, prefix)
    done = [lives.done(life) for life in range(kills + 1)]
    assert {one for life in done for one in life} == set(lying) == {f"flag-{number}" for number in range(total)}
    assert all(max(Counter(life).values(), default=1) == 1 for life in done), "one subscription drops what it has done"
    seen: set[str] = set()
    for life, offsets in enumerate(safe):
        seen.update(done[life])
        for own, where in lying.items():
            partition = where[0][0]
            first, final = min(offset for _, offset in where), max(offset for _, offset in where)
            assert own in seen or first >= offsets.get(partition, 0), f"{own} was committed before it was done"
            if final < offsets.get(partition, 0):
                assert not any(own in later for later in map(set, done[life + 1 : life + 2])), f"{own} came again although it was committed"
    repeated = sum(map(len, done)) - total
    worked = sum(1 for life in done[:-1] if life)
    assert worked >= kills // 2, "most were killed at work"
    with capsys.disabled():
        sys.stdout.write(f"\n  {kills} kills, {worked} of them at work: {total} flags, {repeated} bodies ran again, 0 lost{os.linesep}")
