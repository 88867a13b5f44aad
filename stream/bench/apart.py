"""Contenders in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from stream.bench.job import Drained, Job
from stream.errors import StreamError

TIMEOUT_S = 600.0


class Contender(Protocol):
    """What each module of `stream.bench.drains` is."""

    __name__: str
    NAME: str
    WHAT: str

    @staticmethod
    def drain(job: Job) -> Drained:
        """Drain the backlog of `job`; all that it caused is acknowledged when this returns. Its clock runs from the first
        record in hand."""
        ...


def last_core() -> int | None:
    """The core that contenders are held to, one after the other; None where the system cannot, or has but one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[-1] if len(cores) > 1 else None


def drain_apart(contender: Contender, job: Job) -> Drained:
    """What `contender` needed for `job`, in its own process. Raises `StreamError` with the last line that the process said
    when it fails."""
    result = Path(job.folder) / "result.json"
    log = Path(job.folder) / "contender.log"
    command = [sys.executable, "-m", "stream.bench.child", contender.__name__, json.dumps(asdict(job)), str(result)]
    with log.open("ab") as sink, subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True) as process:
        try:
            code = process.wait(TIMEOUT_S)
        finally:
            if process.poll() is None:
                process.kill()
    if code != 0 or not result.exists():
        lines = log.read_text(errors="replace").strip().splitlines()
        raise StreamError(f"the contender {contender.NAME} failed: {lines[-1] if lines else f'exit code {code}'}")
    return Drained(**json.loads(result.read_text()))
