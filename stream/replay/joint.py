"""A replay that workers judge: begun here, watched here, and reported here; how much there is left stands on the broker."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from stream.admin import admin
from stream.errors import UsageError
from stream.replay.drive import Progress, Show, on_interrupt
from stream.replay.folder import clear
from stream.replay.gather import gather
from stream.replay.judge import Judge
from stream.replay.plan import Plan, Stretch, begin, find_plan, is_done, judged
from stream.replay.policies import to_toml
from stream.replay.request import Manifest
from stream.replay.results import Results, open_results
from stream.settings import Settings

LOOK_S = 1.0


def by_workers(
    settings: Settings, run: str, manifest: Manifest, judge: Judge, *, verdicts: Stretch | None, folder: Path, explain: int, show: Show
) -> Results:
    """Begin the run, or find it again; wait until workers have judged it, or until Ctrl-C; and take what they found into `folder`.
    `verdicts` tell the workers of terminals. Raises `UsageError` when the run's name stands for another replay, `BrokerError`."""
    plan = find_plan(settings, run)
    if plan is None:
        rules, partitions = to_toml(judge.policy), _partitions(settings, manifest)
        plan = Plan(manifest=manifest, policy=rules, explain=explain, partitions=partitions, verdicts=verdicts)
        if plan.rules.digest != judge.policy.digest:
            raise UsageError(f"policy {judge.policy.name!r}: cannot be written to a file and read again as it is")
        begin(settings, run, plan)
    elif plan.manifest.identity != manifest.identity:
        raise UsageError(f"replay {run!r}: is of another range, model or policy; choose another name")
    clear(folder)
    so_far = _wait(settings, run, plan, show)
    gather(settings, run, plan, folder, judged=so_far)
    return open_results(folder)


def _partitions(settings: Settings, manifest: Manifest) -> int:
    with admin(settings) as client:
        (found,) = client.describe_topics([manifest.topic])
    return len(found["partitions"])


def _wait(settings: Settings, run: str, plan: Plan, show: Show) -> dict[int, int]:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True

    total = sum(part.records for part in plan.manifest.parts)
    before = on_interrupt(stop)
    try:
        while True:
            so_far = judged(settings, run, plan)
            done = sum(min(so_far[part.number], max(part.start, part.end)) - part.start for part in plan.manifest.parts)
            show(Progress(done=done, total=total))
            if stopped or is_done(plan, so_far):
                return so_far
            time.sleep(LOOK_S)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


