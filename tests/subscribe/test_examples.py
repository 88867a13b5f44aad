"""The consumers of examples/, run as their readers run them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from schemas.codec import encode
from schemas.flag import LabelScore
from stream.embedded import running_broker
from tests.flags import make_flag

CONSUMERS = Path(__file__).parent.parent.parent / "examples" / "consumers"
SCAM = LabelScore(name="scam", score=0.875, threshold=0.5, severity="high")


@pytest.fixture(scope="module")
def flags_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose flags topic holds three scams, one of them twice, other flags, and something that is no flag."""
    with running_broker(tmp_path_factory.mktemp("examples")) as broker:
        admin = KafkaAdminClient(bootstrap_servers=broker.address)
        admin.create_topics([NewTopic("flags", 2, 1)])
        admin.close()
        # lz4, as the worker compresses.
        producer = KafkaProducer(bootstrap_servers=broker.address, compression_type="lz4")
        producer.send("flags", value=b"not a flag", partition=0)
        for number in (0, 1, 2, 1, 3, 4):
            flag = make_flag(number, labels=(SCAM,)) if number < 3 else make_flag(number)
            producer.send("flags", key=flag.entity.encode(), value=encode(flag))
        producer.flush()
        producer.close()
        yield broker.address


def run(command: list[str], broker: str, group: str, folder: Path, *, lines: int) -> tuple[list[str], str]:
    """The first `lines` lines of a consumer that wants scams, and what it says on standard error until it is told to stop."""
    process = subprocess.Popen(
        [*command, broker, group, "scam"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    overdue = threading.Timer(60, process.kill)
    overdue.start()
    try:
        assert process.stdout is not None
        found = [process.stdout.readline() for _ in range(lines)]
        # What is done is committed soon after, and a restart does not repeat it.
        threading.Event().wait(1.5)
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=30)
        return [*found, *rest.splitlines()], errors
    finally:
        overdue.cancel()
        process.kill()
        process.wait()


def check(command: list[str], broker: str, folder: Path) -> None:
    group = f"example-{folder.name}"
    found, errors = run(command, broker, group, folder, lines=3)
    assert sorted(" ".join(line.split()) for line in found) == [f"review scam 0.88 user-{number} flag-{number}" for number in range(3)]
    assert "unreadable at 0@0" in errors
    assert run(command, broker, group, folder, lines=0)[0] == []


def test_the_python_consumer_prints_each_scam_once(flags_broker: str) -> None:
    check([sys.executable, "consumer.py"], flags_broker, CONSUMERS / "python")


@pytest.mark.timeout(240)  # the first run installs the packages
def test_the_javascript_consumer_prints_each_scam_once(flags_broker: str, javascript: Path) -> None:
    check(["node", "consumer.js"], flags_broker, javascript)


@pytest.mark.slow
@pytest.mark.timeout(400)  # the first run fetches and compiles the client
def test_the_go_consumer_prints_each_scam_once(flags_broker: str, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go example: needs Go")
    binary = tmp_path / "consumer"
    built = subprocess.run([go, "build", "-o", str(binary), "."], cwd=CONSUMERS / "go", capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"Go example: cannot be built here ({built.stderr.strip().splitlines()[-1]})")
    check([str(binary)], flags_broker, CONSUMERS / "go")


def test_examples_know_nothing_of_our_packages() -> None:
    sources = [*CONSUMERS.glob("*/*.py"), *CONSUMERS.glob("*/*.js"), *CONSUMERS.glob("*/*.go")]
    text = "".join(path.read_text() for path in sources)
    assert len(sources) == 3
    assert "import stream" not in text
    assert "from schemas" not in text
    assert (CONSUMERS / "javascript" / "package-lock.json").is_file()
