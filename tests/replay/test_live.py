"""Against a real worker: what it published is what a replay of its input says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from stream.replay.request import Request
from stream.replay.run import replay
from stream.settings import load
from tests.stream.conftest import Stage, stage

__all__ = ["stage"]

CLOCK = {"flagged_at", "timing", "mode"}


def drive(stage: Stage, events: int, *, troubled: bool) -> None:
    """Let a worker judge `events`. In a troubled run another joins half-way, the first is killed, and a third takes over from the
    second, which leaves in good order."""
    stage.start_worker()
    stage.send(events // 2, seed=7)
    if troubled:
        stage.start_worker()
        time.sleep(1.0)
        stage.workers[0].send_signal(signal.SIGKILL)
    stage.send(events - events // 2, seed=8)
    if troubled:
        stage.start_worker()
        stage.workers[1].send_signal(signal.SIGTERM)
    stage.until_done(900.0)


SIZE = int(os.environ.get("FLAGSTREAM_IDENTITY_EVENTS", "200000"))
"""Events of the longest run; the other slow one has a tenth."""
SLOW = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize(
    ("events", "troubled"), [(2_000, False), pytest.param(SIZE // 10, True, marks=SLOW), pytest.param(SIZE, True, marks=SLOW)],
    ids=["quiet", "troubled", "troubled-long"],
)
def test_a_replay_finds_the_flags_that_were_published_through_a_kill_and_rebalances(
    events: int, troubled: bool, stage: Stage, kit: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive(stage, events, troubled=troubled)
    settings = load({"broker": stage.broker, "prefix": stage.names.prefix}, environ={})
    published = {flag.id: flag for flag in stage.flags()}
    replayed, compared = {}, []
    for topic in ("messages", "transactions"):
        request = Request(topic=topic, against="flags", folder=tmp_path / topic, flags=tmp_path / f"{topic}.jsonl", processes=1)
        counts = replay(settings, request).to_json()
        assert counts["events"] > 0
        compared.append((counts["newly_flagged"], counts["newly_cleared"], counts["changed"]))
        replayed.update({flag.id: flag for flag in kit.flags_of(tmp_path / f"{topic}.jsonl")})
    differing = sorted(
        flag_id for flag_id in replayed.keys() | published.keys()
        if flag_id not in replayed or flag_id not in published
        or replayed[flag_id].model_dump(exclude=CLOCK) != published[flag_id].model_dump(exclude=CLOCK)
    )  # fmt: skip
    with capsys.disabled():
        print(f"\n  {events} events sent, {len(published)} flags published, {len(replayed)} of the replay, {len(differing)} differ")
    assert differing == []
    assert compared == [(0, 0, 0)] * 2
    assert len(replayed) > 20
    assert {flag.mode for flag in replayed.values()} == {"replay"}
