"""Nothing is lost when workers die: inputs, flags, repetitions and state are counted against an undisturbed computation."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from agents.applied import applied

if TYPE_CHECKING:
    from tests.stream.conftest import Stage

Stop = Callable[["subprocess.Popen[bytes]"], int]


def _account(stage: Stage) -> tuple[int, int]:
    """Asserts that no flag and no dead letter is missing, and that scores and state are those of an undisturbed run; (flags,
    repetitions)."""
    flags, letters, state = stage.expected()
    published = Counter(flag.id for flag in stage.flags())
    missing, unknown = flags.keys() - published.keys(), published.keys() - flags.keys()
    where = sorted((flags[one].kind, flags[one].event.partition, flags[one].event.offset) for one in missing)
    assert not missing, f"{len(missing)} of {len(flags)} flags lost: {where}; unknown: {len(unknown)}"
    assert {letter.id for letter in stage.dead_letters()} == letters.keys()
    assert not unknown, f"{len(unknown)} flags that an undisturbed run would not publish"
    by_id = {flag.id: flag.labels for flag in flags.values()}
    others = [(flag.event, flag.entity, flag.labels, by_id[flag.id]) for flag in stage.flags() if flag.labels != by_id[flag.id]]
    found = stage.changelog()
    states = [(key, applied(found.get(key, b"")), applied(value)) for key, value in state.items() if found.get(key) != value]
    assert not others, f"{len(others)} flags are not those of an undisturbed run: {others[:5]}; {len(states)} states: {states[:5]}"
    assert not states, f"{len(states)} states are not those of an undisturbed run: {states[:5]}"
    assert found.keys() == state.keys()
    return len(published), sum(published.values()) - len(published)


def test_a_worker_killed_again_and_again_loses_nothing(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(3)
    feeding = threading.Thread(target=stage.send, args=(6_000,), kwargs={"rate": 500})
    worker = stage.start_worker()
    feeding.start()
    for _ in range(3):
        time.sleep(chance.uniform(1.0, 2.5))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker = stage.start_worker(wait=False)
    feeding.join()
    stage.until_done(90)
    flags, repeated = _account(stage)
    with capsys.disabled():
        print(f"\n  3 kills, 6000 inputs: {flags} flags, {repeated} repeated, 0 lost")


def test_another_worker_takes_over_and_rebuilds_the_state_from_the_changelog(stage: Stage) -> None:
    first = stage.start_worker()
    stage.send(2_500)
    time.sleep(1.5)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # A folder of its own: nothing of the first worker's local state is there.
    stage.environ["FLAGSTREAM_STATE_DIR"] = str(stage.folder / "other-machine")
    stage.start_worker()
    stage.send(2_500, seed=8)
    stage.until_done(90)
    _account(stage)


def test_sigterm_finishes_the_batch_in_hand_and_commits(stage: Stage, terminate: Stop) -> None:
    worker = stage.start_worker()
    stage.send(3_000)
    time.sleep(0.5)
    assert terminate(worker) == 0
    before = Counter(flag.id for flag in stage.flags())
    stage.start_worker()
    stage.until_done()
    after = Counter(flag.id for flag in stage.flags())
    assert all(count == 1 for count in after.values()), "a clean stop repeats nothing"
    assert after >= before
    _account(stage)


def test_two_workers_share_the_partitions_and_one_may_leave(stage: Stage, terminate: Stop) -> None:
    feeding = threading.Thread(target=stage.send, args=(6_000,), kwargs={"rate": 600})
    first = stage.start_worker()
    feeding.start()
    time.sleep(1)
    stage.start_worker()
    time.sleep(3)
    assert terminate(first) == 0
    feeding.join()
    stage.until_done(90)
    _account(stage)
