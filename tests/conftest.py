"""Fixtures that all tests share."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

# Before numpy is loaded: on a busy machine threads that wait for each other make small matrices fifty times slower.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from stream import cli
from stream.embedded import running_broker

pytest_plugins = ["tests.brokers.fixtures"]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets; the test is skipped where there is none."""
    folder = Path(os.environ.get("FLAGSTREAM_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"data sets: none at {folder} (set FLAGSTREAM_DATA)")
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
    yield
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
