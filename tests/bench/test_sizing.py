"""The arithmetic of sizes, held against points that were measured, and the benchmark that measures such points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stream.bench.scale import run_scale
from stream.bench.sizing import BUSY, Cost, capacity, size

TEXTS = Cost(worker_us=1_700.0, broker_us=10.0, bytes_written=312.0)


@pytest.mark.parametrize(
    ("cost", "measured_one", "measured_two"),
    [
        # docs/scaling.md: events a second of one worker and of two on two cores, with CPU of worker and broker beside them.
        (Cost(worker_us=29.0, broker_us=3.75), 8_302.4, 15_303.3),
        (Cost(worker_us=304.67, broker_us=54.67), 696.4, 1_048.3),
    ],
)
def test_the_arithmetic_agrees_with_what_was_measured(cost: Cost, measured_one: float, measured_two: float) -> None:
    share = capacity(cost, workers=2, cores=2, partitions=4) / capacity(cost, workers=1, cores=2, partitions=4)
    assert measured_one * share == pytest.approx(measured_two, rel=0.15)


def test_workers_are_held_up_by_the_fullest_of_them_by_the_cores_and_by_the_embedded_broker() -> None:
    one = capacity(TEXTS, workers=1, cores=64)
    assert one == pytest.approx(1e6 / 1_700)
    assert capacity(TEXTS, workers=4, cores=64, partitions=8) == pytest.approx(4 * one)
    assert capacity(TEXTS, workers=3, cores=64, partitions=4) == pytest.approx(2 * one), "one of three reads two of four"
    assert capacity(TEXTS, workers=9, cores=64, partitions=4) == pytest.approx(4 * one), "five have nothing to read"
    assert capacity(TEXTS, workers=8, cores=2) == pytest.approx(2e6 / 1_710)
    assert capacity(Cost(worker_us=5.0, broker_us=10.0), workers=8, cores=64) == pytest.approx(100_000), "the broker is one core"


@pytest.mark.parametrize("rate", [10_000, 100_000, 1_000_000])
def test_a_size_carries_its_rate_with_room_and_spreads_evenly(rate: int) -> None:
    found = size(rate, TEXTS)
    assert found.workers / TEXTS.worker_us * 1e6 * BUSY >= rate
    assert (found.workers - 1) / TEXTS.worker_us * 1e6 * BUSY < rate
    assert found.partitions % found.workers == 0
    assert found.brokers >= 3
    assert found.written_mb_per_s == pytest.approx(rate * 312 * 3 / 1e6, rel=0.01)


@pytest.mark.parametrize("rate", [10_000, 100_000, 1_000_000])
def test_the_page_on_scaling_says_what_the_arithmetic_says(rate: int) -> None:
    page = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text()
    texts, payments = size(rate, TEXTS), size(rate, Cost(worker_us=300.0))
    row = f"| {rate:,} | {texts.workers:,}, {texts.partitions:,} | {payments.workers:,}, {payments.partitions:,} |"
    assert row in page


@pytest.mark.skipif(sys.platform != "linux", reason="reads the CPU of other processes from /proc")
def test_two_workers_share_a_stream_and_each_is_accounted_for() -> None:
    figures = run_scale("passthrough", events=2_000)
    assert [run["workers"] for run in figures["runs"]] == [1, 2]
    for run in figures["runs"]:
        assert run["flags_per_event"] == 1.0
        assert run["worker_us"] > 0
        assert run["bytes_written"] > 0
        assert run["predicted_events_per_s"] > 0
    assert [one["events_per_s"] for one in figures["sizes"]] == [10_000, 100_000, 1_000_000]
