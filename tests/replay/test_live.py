"""Against a real worker: what it published is what a replay of its input says."""

from __future__ import annotations

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


def drive(stage: Stage, events: int, kills: int) -> None:
    """Let two workers judge `events`; the first is killed, another joins, and one leaves in good order."""
    stage.start_worker()
    for _ in range(kills):
        stage.send(events // (kills + 1), seed=7)
        joined = stage.start_worker()
        time.sleep(1.0)
        stage.workers[-2].send_signal(signal.SIGKILL)
        assert joined.poll() is None
    stage.send(events - kills * (events // (kills + 1)), seed=8)
    stage.start_worker()
    stage.workers[-2].send_signal(signal.SIGTERM)
    stage.until_done(600.0)


@pytest.mark.parametrize(
    ("events", "kills"), [(2_000, 1), pytest.param(200_000, 1, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]
)
def test_a_replay_finds_no_flag_that_a_killed_and_rebalanced_run_did_not_publish(
    events: int, kills: int, stage: Stage, kit: Any, tmp_path: Path
) -> None:
    drive(stage, events, kills)
    settings = load({"broker": stage.broker, "prefix": stage.names.prefix}, environ={})
    published = {flag.id: flag for flag in stage.flags()}
    replayed = {}
    for topic in ("messages", "transactions"):
        request = Request(topic=topic, against="flags", folder=tmp_path / topic, flags=tmp_path / f"{topic}.jsonl", processes=1)
        counts = replay(settings, request).to_json()
        assert counts["events"] > 0
        assert (counts["newly_flagged"], counts["newly_cleared"], counts["changed"]) == (0, 0, 0)
        replayed.update({flag.id: flag for flag in kit.flags_of(tmp_path / f"{topic}.jsonl")})
    assert replayed.keys() == published.keys()
    assert len(replayed) > 20
    for flag_id, flag in replayed.items():
        assert flag.mode == "replay"
        assert flag.model_dump(exclude=CLOCK) == published[flag_id].model_dump(exclude=CLOCK)
