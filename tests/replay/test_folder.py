from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from stream.errors import StreamError, UsageError
from stream.replay import checkpoint
from stream.replay.again import again
from stream.replay.folder import clear, held
from stream.replay.request import Request
from stream.replay.results import open_results
from stream.replay.run import replay
from stream.settings import load

PATIENCE_S = 60.0


def write(path: Path, events: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(event)}\n" for event in events))
    return path


def asked(path: Path, run: Path, **more: Any) -> Request:
    return Request(file=path, kind="transaction", folder=run, processes=1, **more)


def test_a_folder_is_one_replay_s_at_a_time(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        with pytest.raises(UsageError, match="another replay is at work in it"), held(tmp_path / "run", patience_s=0):
            pass
    with held(tmp_path / "run", patience_s=0):
        pass


def test_what_a_failed_start_left_is_no_obstacle_to_the_next(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [])
    with pytest.raises(UsageError, match="holds no records"):
        replay(load(environ={}), asked(path, tmp_path / "run"))
    write(path, [kit.transaction(1, 5)])
    assert replay(load(environ={}), asked(path, tmp_path / "run")).to_json()["events"] == 1


@pytest.mark.parametrize("names", [["run.json", "main.c"], ["input"], ["replay.lock", "notes"]])
def test_nobody_else_s_files_are_removed(names: list[str], tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_text("kept")
    with pytest.raises(UsageError, match="not the folder of a replay"), held(tmp_path) as _:
        clear(tmp_path)
    assert [(tmp_path / name).read_text() for name in names] == ["kept"] * len(names)


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "run", Path("/proc/run")):
        with pytest.raises(UsageError, match="cannot be the folder of a replay"), held(path):
            pass


def test_a_full_disk_is_told_as_one(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_state", full)
    monkeypatch.setattr(checkpoint, "save", full)
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    with pytest.raises(StreamError, match="No space left on device; --resume goes on"):
        replay(load(environ={}), asked(path, tmp_path / "run"))


@pytest.mark.parametrize("option", ["report", "flags"])
def test_where_nothing_can_be_written_is_told_before_anything_is_judged(option: str, kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    for out, complaint in ((tmp_path / "no" / "out", "there is no folder"), (tmp_path, "is a folder, not a file")):
        with pytest.raises(UsageError, match=f"--{option} .*{complaint}"):
            replay(load(environ={}), asked(path, tmp_path / "run", **{option: out}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"tally": {"nonsense": 1}, "segments": {}}'])
def test_a_damaged_checkpoint_is_named(content: str, kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    replay(load(environ={}), asked(path, tmp_path / "run"))
    (tmp_path / "run" / "part-00000.json").write_text(content)
    with pytest.raises(StreamError, match=r"part-00000\.json: damaged"):
        open_results(tmp_path / "run")


def test_rows_that_are_gone_are_not_taken_for_zeros(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    replay(load(environ={}), asked(path, tmp_path / "run"))
    (rows,) = [one for one in (tmp_path / "run").glob("*.rows") if one.stat().st_size]
    rows.write_bytes(b"")
    with pytest.raises(StreamError, match="shorter than it was"):
        replay(load(environ={}), asked(path, tmp_path / "run", resume=True))


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_killed_replay_leaves_no_process_behind_and_goes_on_as_if_nothing_had_been(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 1_500 + number % 700, card=number % 40) for number in range(60_000)])
    run = tmp_path / "run"
    words = [sys.executable, "-m", "stream", "replay", "--input", str(path), "--kind", "transaction", "--run", str(run), "--processes", "2", "--json"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        deadline_s = time.monotonic() + PATIENCE_S
        while not any(one.stat().st_size for one in run.glob("*.rows")):
            assert time.monotonic() < deadline_s
            assert first.poll() is None
            time.sleep(0.05)
        orphans = children(first.pid)
        os.kill(first.pid, signal.SIGKILL)
    assert len(orphans) == 2
    whole = replay(load(environ={}), asked(path, run, resume=True)).to_json()
    assert not any(alive(pid) for pid in orphans)
    assert (whole["events"], whole["complete"]) == (60_000, True)
    again_ = replay(load(environ={}), asked(path, tmp_path / "other")).to_json()
    assert (whole["flags"], whole["decisions"]) == (again_["flags"], again_["decisions"])


def test_a_replay_goes_on_beside_a_report_that_was_put_into_its_folder(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 5) for number in range(1, 9)])
    first = replay(load(environ={}), asked(path, tmp_path / "run")).to_json()
    (tmp_path / "run" / "report.html").write_text("kept")
    assert replay(load(environ={}), asked(path, tmp_path / "run", resume=True)).to_json()["events"] == first["events"] == 8
    assert (tmp_path / "run" / "report.html").read_text() == "kept"


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="holds no replay"):
        open_results(tmp_path / "file")


def test_a_process_that_cannot_be_started_is_told_as_what_it_is(kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", full)
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 5, card=number) for number in range(1, 9)])
    with pytest.raises(StreamError, match="Resource temporarily unavailable"):
        replay(load(environ={}), replace(asked(path, tmp_path / "run"), processes=2))


def test_a_resumed_replay_s_rate_is_of_what_it_did_itself(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 5) for number in range(50)])
    first = replay(load(environ={}), asked(path, tmp_path / "run")).to_json()
    again_ = replay(load(environ={}), asked(path, tmp_path / "run", resume=True)).to_json()
    assert first["events_per_s"] > 0
    assert (again_["events"], again_["events_per_s"]) == (50, 0.0)


def test_a_replay_is_not_resumed_with_other_verdicts(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5, terminal_id="t")])
    said = {"id": "v", "event_id": "t1", "label": "fraud", "outcome": "fraud", "source": "test", "occurred_at": "2026-02-01T00:00:00Z"}
    verdicts = str(write(tmp_path / "verdicts.jsonl", [said]))
    replay(load(environ={}), asked(path, tmp_path / "run"))
    with pytest.raises(UsageError, match="differs in its verdicts"):
        replay(load(environ={}), asked(path, tmp_path / "run", verdicts=verdicts, resume=True))


def test_the_command_that_gives_it_again_has_what_it_rests_on() -> None:
    now = datetime(2026, 2, 8, 12, tzinfo=UTC)
    settings = load({"broker": "kafka:9092"}, environ={"FLAGSTREAM_PREFIX": "team-a."})
    found = again(["replay", "--topic", "messages", "--since", "7d", "--until=1h", "--resume"], settings, now=now)
    assert found == (
        "FLAGSTREAM_BROKER=kafka:9092 FLAGSTREAM_PREFIX=team-a. flagstream replay --topic messages "
        "--since 2026-02-01T12:00:00.000+00:00 --until=2026-02-08T11:00:00.000+00:00"
    )
    named = again(["replay", "--broker", "kafka:9092", "--topic", "a b", "--since", "1200"], load({"broker": "kafka:9092"}, environ={}), now=now)
    assert named == "flagstream replay --broker kafka:9092 --topic 'a b' --since 1200"
    assert again(["replay", "--since", "9999999d"], load(environ={}), now=now) == "flagstream replay --since 9999999d"
    of_workers = again(["replay", "--topic", "messages", "--since", "7d", "--until=1h", "--workers", "june"], load(environ={}), now=now)
    assert of_workers == "flagstream replay --topic messages --since 7d --until=1h --workers june"
