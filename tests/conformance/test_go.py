"""A client that shares no code with the others, franz-go, through one scenario on either broker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "go"
BUILD_TIMEOUT_S = 300


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built; the test is skipped where Go, its version or the modules are missing."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go: not installed")
    program = tmp_path_factory.mktemp("go") / "scenario"
    command = [go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(program), "."]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False, timeout=BUILD_TIMEOUT_S)
    if done.returncode != 0:
        absent = re.search(r"requires go >= .*|dial tcp.*|no such host|module lookup disabled.*|go: download.*", done.stderr)
        assert absent is not None, done.stderr
        pytest.skip(f"Go: {absent[0]}")
    return program


@pytest.mark.kafka  # with the other scenario: it builds a program
@pytest.mark.timeout(BUILD_TIMEOUT_S + 120)
def test_a_client_of_another_family_finds_everything_as_it_should_be(scenario: Path, broker: str, unique: Callable[[str], str]) -> None:
    an_hour_ago = str(int(time.time() * 1000) - 3_600_000)
    command = [str(scenario), broker, unique("topic"), unique("group"), an_hour_ago]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, env=dict(os.environ))
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told == {
        "exists": "TOPIC_ALREADY_EXISTS",
        "configs": "86400000 1048576 delete,compact",
        "partitions": "2",
        "nodes": "1",
        "wrote none": "0 to 9",
        "wrote gzip": "10 to 19",
        "wrote snappy": "20 to 29",
        "wrote lz": "30 to 39",
        "wrote zstd": "40 to 49",
        "too large": "MESSAGE_TOO_LARGE",
        "read": "50 map[gzip:9 lz:9 none:9 snappy:9 zstd:9] nulls 5",
        "headers": "a=1 null=false none= null=true",
        "committed": "50",
        "group": "Stable 2 cooperative-sticky",
        "by time": "3",
        "ends": "0 50",
        "newest": "9",
        "first now": "20",
        "lag": "0",
        "group gone": "GROUP_ID_NOT_FOUND",
        "topic gone": "UNKNOWN_TOPIC_OR_PARTITION",
    }, done.stderr[-3000:]
