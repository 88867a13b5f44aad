"""A worker whose Kafka client has given up begins anew when the broker answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_GIVES_UP_ONCE = """
import os, sys
from stream.again import begin_anew
from stream.settings import Settings
times = os.environ.get("TIMES", "")
print(os.getpid(), sys.argv[1:], times, flush=True)
if not times:
    os.environ["TIMES"] = "again"
    begin_anew(Settings(broker=sys.argv[1]), "for a test")
"""


def _run(tmp_path: Path, broker: str) -> subprocess.Popen[str]:
    script = tmp_path / "gives_up_once.py"
    script.write_text(_GIVES_UP_ONCE)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen([sys.executable, str(script), broker, "two words"], stdout=subprocess.PIPE, text=True, env=environment)


def test_the_same_command_line_is_run_again_in_the_same_process(embedded: str, tmp_path: Path) -> None:
    from stream import topics
    from stream.settings import Settings

    topics.create(Settings(broker=embedded))
    with _run(tmp_path, embedded) as child:
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert [line for line in out.splitlines() if "worker.again" not in line] == [f"{child.pid} ['{embedded}', 'two words'] {times}" for times in ("", "again")]


def test_while_the_broker_is_away_it_waits_and_can_be_stopped(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with _run(tmp_path, address) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=5)
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 0
