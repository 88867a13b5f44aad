"""The stream benchmark on a small backlog: every contender in its own process, every flag counted. No speed is asserted."""

from __future__ import annotations

from stream.bench.account import Account, account
from stream.bench.backlog import run_backlog
from stream.bench.stage import Read
from stream.bench.stream import run_stream

KEYS = {
    "events_per_s", "cpu_us_per_event", "raw_aiokafka_events_per_s", "ratio_raw", "stock_faust_events_per_s", "ratio_stock",
    "duplicates", "missing",
}


def test_a_backlog_passes_through_every_contender_and_each_flag_is_counted() -> None:
    figures = run_stream("passthrough", events=1_500, stock_events=200, rounds=1)
    assert figures.keys() >= KEYS
    assert (figures["duplicates"], figures["missing"], figures["unexpected"]) == (0, 0, 0)
    assert all(figures[name] > 0 for name in KEYS - {"duplicates", "missing"})
    assert figures["events"] == 1_500


def test_the_account_tells_repeated_lost_and_uncaused_flags_apart() -> None:
    out = [Read(0, offset, None, b'{"id":"%b"}' % name, 0) for offset, name in enumerate((b"a", b"b", b"b", b"b", b"x"))]
    assert account(out, {"a", "b", "c", "d", "e"}) == Account(duplicates=2, missing=3, unexpected=1)
    first, second = Account(duplicates=1, missing=2, unexpected=3), Account(duplicates=10, missing=20, unexpected=30)
    assert first + second == Account(duplicates=11, missing=22, unexpected=33)


def test_memory_is_measured_before_a_short_queue_and_a_long_one() -> None:
    figures = run_backlog("passthrough", backlog=2_000)
    assert (figures["backlog"], figures["judged"], figures["short_backlog"]) == (2_000, 2_000, 20)
    assert figures["rss_mb"] > 20
    assert figures["short_rss_mb"] > 20
