"""A replay that workers share: two processes of the real command over a broker, one of them killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from stream.errors import UsageError
from stream.replay import member as members
from stream.replay.drive import Progress
from stream.replay.plan import Stretch, find_plan, is_done, judged
from stream.replay.request import Request
from stream.replay.run import replay
from stream.settings import Settings, load
from tests.stream.conftest import Stage, stage

__all__ = ["stage"]

CLOCK = {"flagged_at", "timing"}


def settings_of(stage: Stage) -> Settings:
    return load({"broker": stage.broker, "prefix": stage.names.prefix}, environ={})


def ends(broker: str, prefix: str) -> dict[str, int]:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    try:
        places = [TopicPartition(one, part) for one in consumer.topics() if one.startswith(prefix) for part in consumer.partitions_for_topic(one)]
        return {f"{place.topic}/{place.partition}": end for place, end in consumer.end_offsets(places).items()}
    finally:
        consumer.close()


def member(stage: Stage, run: str, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stream.cli", "worker", "--replay", run, "--state-dir", str(stage.folder / f"machine-{number}")]
    with (stage.folder / f"member-{number}.log").open("wb") as log:
        process = subprocess.Popen(command, env=stage.environ, stdout=log, stderr=subprocess.STDOUT)
    stage.workers.append(process)
    return process


def until(condition: Any, what: str, timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("topic", ["transactions", pytest.param("messages", marks=pytest.mark.slow)])
def test_workers_share_a_replay_and_find_what_one_process_finds_though_one_is_killed(
    topic: str, stage: Stage, kit: Any, tmp_path: Path
) -> None:
    settings = settings_of(stage)
    stage.send(9_000)
    # The traffic's own verdicts tell of its terminals.
    verdicts = "verdicts" if topic == "transactions" else None
    alone = replay(settings, Request(topic=topic, verdicts=verdicts, folder=tmp_path / "alone", flags=tmp_path / "alone.jsonl", processes=1))
    if verdicts:
        replay(settings, Request(topic=topic, folder=tmp_path / "untold", flags=tmp_path / "untold.jsonl", processes=1))
        assert (tmp_path / "untold.jsonl").read_bytes() != (tmp_path / "alone.jsonl").read_bytes(), "terminals tell nothing: the test would too"
    before = ends(stage.broker, stage.names.prefix)
    found: dict[str, Any] = {}
    request = Request(topic=topic, verdicts=verdicts, folder=tmp_path / "shared", flags=tmp_path / "shared.jsonl", workers="week")
    seen: list[Progress] = []
    asking = Thread(target=lambda: found.update(summary=replay(settings, request, show=seen.append)))
    asking.start()
    until(lambda: find_plan(settings, "week") is not None, "the run was not begun")
    first, second = member(stage, "week", 0), member(stage, "week", 1)
    until(lambda: any(one.done for one in seen), "no worker began")
    first.send_signal(signal.SIGKILL)
    # What comes after the beginning, verdicts among it, is not of the run.
    stage.send(200, seed=9)
    asking.join(200)
    assert second.wait(60) == 0, (stage.folder / "member-1.log").read_text()[-3000:]
    summary = found["summary"]
    assert summary.results.complete
    assert not summary.results.manifest.gaps
    kept = ("events", "flags", "dead_letters", "by_label", "decisions", "warmup", "absent", "faults")
    shared, expected = summary.to_json(), alone.to_json()
    assert {name: shared[name] for name in kept} == {name: expected[name] for name in kept}
    assert shared["flags"] > 10
    flags = [[kit.essence(flag) for flag in kit.flags_of(tmp_path / f"{name}.jsonl")] for name in ("alone", "shared")]
    assert flags[0] == flags[1]
    for one, other in zip(alone.results.chunks(), summary.results.chunks(), strict=True):
        for column in ("offset", "at_ms", "event", "amount_minor", "band", "account", "scores"):
            assert (one.rows[column] == other.rows[column]).all(), column
    after = ends(stage.broker, stage.names.prefix)
    own = f"{stage.names.prefix}replay-week-"
    untouched = {place for place in before if not place.rpartition("/")[0].endswith(("messages", "transactions"))}
    assert {place: after[place] for place in untouched} == {place: before[place] for place in untouched}
    assert {place.rpartition("/")[0] for place in after.keys() - before.keys()} <= {
        f"{own}{name}" for name in ("plan", "rows", "flags", "dead-letters")
    } | {f"{stage.names.prefix}replay-week-histories-changelog"}
    admin = KafkaAdminClient(bootstrap_servers=stage.broker)
    try:
        mine = [one for one in map(str, admin.list_groups()) if stage.names.prefix in one]
        assert all("replay-week" in one for one in mine), mine
    finally:
        admin.close()


def test_a_worker_is_told_that_there_is_no_such_replay(stage: Stage) -> None:
    command = [sys.executable, "-m", "stream.cli", "worker", "--replay", "nowhere"]
    ran = subprocess.run(command, check=False, env=stage.environ, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "no replay 'nowhere'" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_workers_elsewhere_have_no_file_of_verdicts_and_the_report_says_so(stage: Stage, tmp_path: Path) -> None:
    stage.send(300)
    (tmp_path / "said.jsonl").touch()
    request = Request(topic="transactions", workers="filed", verdicts=str(tmp_path / "said.jsonl"), folder=tmp_path / "run")
    partial = replay(settings_of(stage), request, show=lambda _: os.kill(os.getpid(), signal.SIGINT))
    assert any("do not have the file of verdicts" in gap for gap in partial.results.manifest.gaps)


def test_a_run_is_of_one_range_and_name(stage: Stage, tmp_path: Path) -> None:
    settings = settings_of(stage)
    stage.send(1_000)  # the first few hundred are payments of the days before

    def begin(**more: Any) -> Any:
        asked: dict[str, Any] = {"topic": "messages", "workers": "one", "folder": tmp_path / "run", **more}
        return replay(settings, Request(**asked))

    # Ctrl-C as soon as the workers are waited for.
    partial = replay(
        settings, Request(topic="messages", workers="one", folder=tmp_path / "run"), show=lambda _: os.kill(os.getpid(), signal.SIGINT)
    )
    assert not partial.results.complete
    assert partial.to_json()["events"] == 0
    # The words that began it find it again; any that fix its end would be those of another range.
    assert partial.to_json()["command"] == "flagstream replay"
    plan = find_plan(settings, "one")
    assert plan is not None
    assert not is_done(plan, judged(settings, "one", plan))
    for more, complaint in (({"until": "1"}, "of another range"), ({"workers": "a/b"}, "named by letters"), ({"against": str(tmp_path)}, "one model|no model bundle")):
        with pytest.raises(Exception, match=complaint):
            begin(**more)
    with pytest.raises(UsageError, match="judge a topic"):
        begin(topic=None, file=tmp_path / "in.jsonl", kind="message")


async def test_a_worker_that_is_stopped_while_it_reads_of_terminals_leaves_no_thread_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    begun, ended = Event(), Event()

    def fold(*_: Any, show: Any) -> None:
        try:
            for number in range(200):
                show(Progress(done=number, total=200))
                begun.set()
                time.sleep(0.05)
        finally:
            ended.set()

    monkeypatch.setattr(members, "fold_places", fold)
    settings, whole = load(environ={}), Stretch(topic="transactions", parts=())
    plan: Any = SimpleNamespace(verdicts=whole, manifest=SimpleNamespace(topic="transactions", parts=()))
    judge: Any = SimpleNamespace()
    placing = asyncio.create_task(members._placed(settings, plan, judge, tmp_path / "places"))
    await asyncio.to_thread(begun.wait, 5)
    placing.cancel()
    assert await asyncio.to_thread(ended.wait, 2)
