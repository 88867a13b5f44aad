"""Fixtures that all tests share."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from stream import cli
from stream.embedded import running_broker

pytest_plugins = ["tests.brokers.fixtures"]

ROOT = Path(__file__).parent.parent

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would the programs that they start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets; the test is skipped where there is none."""
    folder = Path(os.environ.get("FLAGSTREAM_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"data sets: none at {folder} (set FLAGSTREAM_DATA)")
    return folder


@pytest.fixture(scope="session")
def javascript() -> Path:
    """The folder of the JavaScript example with its packages, installed once for each version of their lock file into the folder of
    temporary files. The test is skipped by name where Node.js, npm or its registry are not there."""
    source = ROOT / "examples" / "consumers" / "javascript"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("JavaScript: needs Node.js and npm")
    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"flagstream-javascript-{os.getuid()}-{lock}"
    if not (folder / "node_modules").is_dir():
        fresh = Path(tempfile.mkdtemp(prefix="flagstream-javascript-"))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, fresh)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=100, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("JavaScript: npm ci took more than 100 s")
        if done.returncode:
            pytest.skip(f"JavaScript: npm ci failed ({(done.stderr.strip().splitlines() or ['?'])[-1][:200]})")
        try:
            fresh.rename(folder)
        except OSError:
            # Another run was quicker.
            shutil.rmtree(fresh)
    if folder.stat().st_uid != os.getuid():
        pytest.skip(f"JavaScript: {folder} belongs to somebody else")
    for path in (*source.glob("*.js"), *source.glob("*.mjs")):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[str]:
    """The address of an embedded broker with an empty log."""
    with running_broker(tmp_path / "broker") as broker:
        yield broker.address


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """A command sets up logging for its process, here the tests': taken back, for its stream closes with the test. The brokers
    of other tests run on in this process: they are silent meanwhile, since they are no part of the command."""
    root, broker = logging.getLogger(), logging.getLogger("stream.embedded")
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    broker.setLevel(logging.CRITICAL + 1)
    configured = structlog.is_configured()
    yield
    if not configured:
        structlog.reset_defaults()
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)
    broker.setLevel(logging.NOTSET)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], logging_restored: None, tmp_path: Path
) -> Run:
    """Runs the command line in an empty folder; exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAGSTREAM_DEBUG", "")

    def command(*arguments: str, **environ: str) -> tuple[int, str, str]:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["flagstream", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command
