"""The fraud benchmark on little traffic."""

from __future__ import annotations

from stream.bench.fraud import run_fraud


def test_the_parts_and_the_whole_are_timed() -> None:
    figures = run_fraud(transactions=1_000, rounds=1)
    assert figures.keys() >= {"tx_per_s", "features_us", "session_us", "state_us", "cores"}
    assert figures["transactions"] == 500
    assert all(figures[name] > 0 for name in ("tx_per_s", "decode_us", "features_us", "session_us", "state_us", "terminal_us", "total_us", "history_bytes"))
