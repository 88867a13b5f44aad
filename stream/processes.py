"""Flagstream's own commands as child processes: started, waited for until ready, and stopped in good order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from stream.errors import StreamError

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0


@contextmanager
def running(command: Sequence[str], *, log: Path, environ: Mapping[str, str] | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `flagstream command…` until the context ends, its log lines going to the file `log`. Yields the address from its
    line `ready ADDRESS`, and the process. Raises `StreamError` with the last line of its log when it ends or stays silent."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream.cli", *command], stdout=subprocess.PIPE, stderr=sink, text=True,
            env={**os.environ, **(environ or {})},
            # Ctrl-C in the terminal is for the parent, which then stops its children in order.
            start_new_session=True,
        )
    try:
        yield _ready(process, command[0], log), process
    finally:
        stop(process)


def _ready(process: subprocess.Popen[str], name: str, log: Path) -> str:
    found: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready "):
                found.append(line.split()[1])
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(READY_TIMEOUT_S)
    if found:
        return found[0]
    stop(process)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise StreamError(f"the {name} did not start: {lines[-1] if lines else 'it said nothing'} (log: {log})")


def stop(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL when that is not enough."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
