"""The fixture that projects get by installing this one: there without being asked for, and free until it is used."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

USED = """
import pytest
from kafka import KafkaConsumer, KafkaProducer
from stream.embedded import BrokerSettings, ErrorCode

@pytest.fixture
def embedded_broker_settings():
    return BrokerSettings(fsync="always", max_message_bytes=1_000)

def test_a_payment_is_written_once_though_the_broker_fails_twice(embedded_broker):
    embedded_broker.faults.fail_produce(ErrorCode.NOT_LEADER_OR_FOLLOWER, times=2, topic="payments")
    producer = KafkaProducer(bootstrap_servers=embedded_broker.address, retry_backoff_ms=10)
    producer.send("payments", b"12.50").get(timeout=20)
    producer.close()
    consumer = KafkaConsumer("payments", bootstrap_servers=embedded_broker.address, auto_offset_reset="earliest", consumer_timeout_ms=500)
    assert [record.value for record in consumer] == [b"12.50"]
    consumer.close()
    assert embedded_broker.settings.max_message_bytes == 1_000
"""

UNUSED = """
import sys

def test_nothing_of_it_is_imported():
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"kafka", "structlog", "aiokafka", "crc32c", "pydantic", "schemas", "models", "agents"}
    assert {name for name in sys.modules if name.partition(".")[0] == "stream"} == {"stream", "stream.pytest_plugin"}
"""


def pytest_in(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Another project's test run: its own folder, no conftest.py, no option but to leave other plugins out."""
    (folder / "test_theirs.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:hypothesispytest", str(folder)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, timeout=100, env=environ)


def test_another_projects_test_gets_a_broker_set_up_as_it_likes(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, USED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_test_run_that_does_not_use_the_broker_imports_nothing_of_it(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, UNUSED)
    assert done.returncode == 0, done.stdout + done.stderr
