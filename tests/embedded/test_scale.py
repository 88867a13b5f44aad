"""The embedded broker in its own scale: a log of a gigabyte, written, read, and started upon after a kill."""

from __future__ import annotations

import json

import pytest

from tests.embedded.throughput import main

RECORDS = 3_600_000
"""Of 300 bytes each: a little over a gigabyte."""


@pytest.mark.slow
@pytest.mark.timeout(580)
def test_a_gigabyte_is_written_read_and_started_upon_within_the_bounds(capsys: pytest.CaptureFixture[str]) -> None:
    found = main(RECORDS)
    with capsys.disabled():
        print(f"\n  {json.dumps(found)}")
    assert found["log_mb"] > 1_000
    # The processor's time and not the clock's: other programs run beside the tests. 10 µs a record are 100,000 a second.
    assert found["produce_broker_us_per_record"] < 10
    assert found["consume_broker_us_per_record"] < 10
    assert found["idle_cpu_percent"] < 1
    assert found["resident_mb"] < 200, "memory does not follow the log"
    assert found["start_after_kill_cpu_s"] < 5
