"""A program that embeds the broker sees its log lines where it asked for them, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
from kafka.admin import KafkaAdminClient
from stream.embedded import running_broker
{setup}
with running_broker(Path(sys.argv[1])) as broker:
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    admin.create_topics({{"orders": {{"num_partitions": 1, "replication_factor": 1}}}})
    admin.close()
"""
LOGGING = """
import logging
logging.basicConfig(level="WARNING", format="%(name)s %(message)s")
logging.getLogger("stream").setLevel("INFO")
"""
STRUCTLOG = """
import structlog
structlog.configure(processors=[structlog.processors.JSONRenderer(sort_keys=True)], logger_factory=structlog.PrintLoggerFactory(sys.stderr))
"""


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("", None),
        (LOGGING, "stream.embedded.topics topic.created topic='orders' partitions=1"),
        (STRUCTLOG, '{"configs": {}, "event": "topic.created", "partitions": 1, "topic": "orders"}'),
    ],
    ids=["unconfigured", "logging", "structlog"],
)
def test_a_library_is_quiet_until_its_program_asks(tmp_path: Path, setup: str, expected: str | None) -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(setup=setup), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], timeout=60)
    assert done.stdout == ""
    if expected is None:
        assert done.stderr == ""
    else:
        assert any(expected in line for line in done.stderr.splitlines()), done.stderr
