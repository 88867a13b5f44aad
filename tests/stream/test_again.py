"""A worker whose Kafka client has given up begins anew when the broker answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from stream.errors import ClientGaveUpError
from stream.settings import Settings
from stream.worker import serve

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

    topics.create(Settings(broker=embedded))
    with _run(tmp_path, embedded) as child:
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert [line for line in out.splitlines() if "worker.again" not in line] == [f"{child.pid} ['{embedded}', 'two words'] {times}" for times in ("", "again")]


_WORKER = """
import os, sys
from stream import cli, worker
from stream.errors import ClientGaveUpError
from stream.replay import member
async def gives_up_once(*_, **__):
    times = os.environ.get("TIMES", "")
    print(os.getpid(), sys.argv[1:], times, flush=True)
    if not times:
        os.environ["TIMES"] = "again"
        raise ClientGaveUpError("for a test")
worker.run = member.join = gives_up_once
cli.main()
"""


@pytest.mark.parametrize("command", [["worker"], ["worker", "--replay", "june"]])
def test_a_worker_and_a_worker_of_a_replay_begin_anew(embedded: str, tmp_path: Path, command: list[str]) -> None:
    script = tmp_path / "worker.py"
    script.write_text(_WORKER)
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "FLAGSTREAM_BROKER": embedded, "COLUMNS": "200"}
    with subprocess.Popen([sys.executable, str(script), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:
        out, error = child.communicate(timeout=100)
    assert child.returncode == 0, error
    lines = [line for line in out.splitlines() if line.startswith(f"{child.pid} ")]
    assert lines == [f"{child.pid} {command} {times}" for times in ("", "again")]
    assert "for a test" in out + error


class _Crashed:
    """As much of a Faust app as is asked about once its client has given up."""

    crashed, rebalancing, crash_reason, transport = True, False, ConnectionError("away"), SimpleNamespace(lanes={})

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


async def test_what_a_client_gave_up_for_is_said_and_nothing_is_asked_of_anybody() -> None:
    with pytest.raises(ClientGaveUpError) as caught:
        await serve(_Crashed(), Settings(broker="127.0.0.1:1", web_port=0), lambda _: None)  # type: ignore[arg-type]  # alike enough
    assert str(caught.value) == "the Kafka client gave up (ConnectionError: away)"


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
