"""Contenders in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

from stream.bench.job import Drained, Job
from stream.errors import StreamError

TIMEOUT_S = 600.0
ENDLESS = 2**62
LOG = "contender.log"


class Contender(Protocol):
    """What each module of `stream.bench.drains` is."""

    __name__: str
    NAME: str
    WHAT: str

    def drain(self, job: Job) -> Drained:
        """Drain the backlog of `job`; all that it caused is acknowledged when this returns. Its clock runs from the first
        record in hand."""
        ...


def last_core() -> int | None:
    """The core that contenders are held to, one after the other; None where the system cannot, or has but one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[-1] if len(cores) > 1 else None


@contextmanager
def aside(core: int | None) -> Iterator[None]:
    """Leaves `core` alone for as long as the context lasts, as does what is started within it, such as an embedded broker."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def drain_apart(contender: Contender, job: Job) -> Drained:
    """What `contender` needed for `job`, in its own process. Raises `StreamError` with the last line that the process said
    when it fails."""
    with _process(contender, job) as process:
        try:
            process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return _result(contender, job, process)


@contextmanager
def serving_apart(contender: Contender, job: Job) -> Iterator[int]:
    """The process id of `contender` at work on what comes, for as long as the context lasts; `job.events` is ignored.
    Raises `StreamError` when it ended before."""
    with _process(contender, replace(job, events=ENDLESS)) as process:
        try:
            yield process.pid
            if process.poll() is not None:
                _result(contender, job, process)
        finally:
            process.kill()


@contextmanager
def _process(contender: Contender, job: Job) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "stream.bench.child", contender.__name__, json.dumps(asdict(job)), str(_result_file(job))]
    with (Path(job.folder) / LOG).open("ab") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _result_file(job: Job) -> Path:
    return Path(job.folder) / "result.json"


def _result(contender: Contender, job: Job, process: subprocess.Popen[bytes]) -> Drained:
    if process.returncode != 0 or not _result_file(job).exists():
        lines = (Path(job.folder) / LOG).read_text(errors="replace").strip().splitlines()
        raise StreamError(f"the contender {contender.NAME} failed: {lines[-1] if lines else f'exit code {process.returncode}'}")
    return Drained(**json.loads(_result_file(job).read_text()))
