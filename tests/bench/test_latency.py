"""The latency benchmark: the shape of what it says, and that a stall counts against all that it held up."""

from __future__ import annotations

import pytest

from stream.bench.latency import at, run_latency
from stream.errors import UsageError


def test_every_event_of_an_open_loop_is_answered() -> None:
    figures = run_latency("passthrough", rate=100, seconds=2)
    assert figures.keys() >= {"p50_ms", "p95_ms", "p99_ms", "max_ms", "rate", "offered", "answered"}
    assert figures["offered"] == figures["answered"] == 200
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    # Since it was due is never less than since it was sent.
    assert figures["append_p50_ms"] <= figures["p50_ms"]


def test_a_percentile_is_the_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [at(ordered, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1.0, 50.0, 95.0, 99.0, 100.0]
    assert at([7.0], 0.99) == 7.0
    assert at([], 0.5) is None


@pytest.mark.parametrize("wrong", [{"rate": 0.0}, {"rate": -1.0}, {"seconds": 0.0}, {"kind": "payments"}])
def test_nonsense_is_refused_before_anything_starts(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        run_latency(**wrong)  # type: ignore[arg-type]  # that is the point
