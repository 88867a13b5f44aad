"""One Kafka node: a Java process with its data in one folder, which can be killed and started again on the same data."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.kafka.errors import KafkaStartError
from deploy.kafka.properties import written

HEAP = "512m"
STOP_TIMEOUT_S = 20.0
FORMAT_TIMEOUT_S = 60.0
LOG_TAIL = 12


class Node:
    """A node of a cluster. `address` is what clients connect to; `log` is the file that its process writes to."""

    def __init__(
        self, number: int, *, java: Path, jars: Path, folder: Path, properties: Mapping[str, str], port: int, environ: Mapping[str, str]
    ) -> None:
        self.number = number
        self.host, self.port = "127.0.0.1", port
        self.address = f"{self.host}:{port}"
        self.log = folder / "server.log"
        self._file = folder / "server.properties"
        self._java = [
            str(java), f"-Xmx{HEAP}", f"-Xms{HEAP}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-cp", f"{jars}/*",
        ]  # fmt: skip
        self._environ = {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(written(properties))
        self._formatted = (Path(properties["log.dirs"]) / "meta.properties").exists()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's id while it lives."""
        return self._process.pid if self._process is not None and self.running else None

    def format(self, cluster_id: str) -> None:
        """Lay out the data folder for this cluster, once. Raises `KafkaStartError`."""
        if self._formatted:
            return
        command = [*self._java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._file)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FORMAT_TIMEOUT_S, env=self._environ)
        except subprocess.TimeoutExpired as error:
            raise KafkaStartError(f"Kafka's data folder was not formatted in {FORMAT_TIMEOUT_S:.0f} s") from error
        if done.returncode != 0:
            raise KafkaStartError(f"Kafka's data folder cannot be formatted: {_cause(done.stderr)}")
        self._formatted = True

    def start(self) -> None:
        """Start the process; it is not ready yet when this returns."""
        if self.running:
            return
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in a terminal reaches the launcher, which then stops Kafka in good order.
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._environ, start_new_session=True,
            )  # fmt: skip

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop in good order, and by force when that takes longer than `timeout_s`."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)  # it may have been paused
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Let the process stand still: connections stay open and nothing answers."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGCONT)

    def last_words(self) -> str:
        """The end of the node's log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LOG_TAIL:])


def _cause(trace: str) -> str:
    """The line of a Java trace that says what was wrong."""
    lines = trace.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "Exception" in line or "Error" in line), lines[-1])


def wait_until_stopped(nodes: list[Node], timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Stop them together: one by one, each would wait for a quorum that is already gone."""
    deadline_s = time.monotonic() + timeout_s
    for node in nodes:
        if node.pid is not None:
            os.kill(node.pid, signal.SIGCONT)
            os.kill(node.pid, signal.SIGTERM)
    for node in nodes:
        node.stop(max(0.1, deadline_s - time.monotonic()))
