"""The subscriber benchmark on a few flags: both contenders read all of them. No speed is asserted."""

from __future__ import annotations

import pytest

from stream.bench.subscribe import run_subscribe


def test_a_subscription_and_a_bare_client_read_the_same_flags() -> None:
    figures = run_subscribe(flags=1_500, rounds=1)
    assert (figures["flags"], figures["rounds"]) == (1_500, 1)
    assert figures["ratio_raw_flags"] == pytest.approx(figures["flags_per_s"] / figures["raw_aiokafka_flags_per_s"], abs=0.002)
    assert figures["cpu_us_per_flag"] > 0
