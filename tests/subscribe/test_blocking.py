"""The blocking subscription against a broker over real sockets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from schemas.codec import Malformed
from stream.errors import BrokerError
from stream.subscribe import Subscription
from tests.flags import make_flag

from .conftest import Open, Publish


def ids(subscription: Subscription) -> list[str]:
    return [flag.id for flag in subscription]


def until_it_fails(flags: Subscription, seen: list[str]) -> None:
    for flag in flags:
        seen.append(flag.id)
        if flag.id == "flag-2":
            raise RuntimeError


def test_a_group_gets_every_flag_once_and_goes_on_where_it_stopped(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(50)))
    with open_one(group="g") as first:
        assert sorted(ids(first)) == sorted(f"flag-{number}" for number in range(50))
    publish(make_flag(50), make_flag(51))
    with open_one(group="g") as second:
        assert sorted(ids(second)) == ["flag-50", "flag-51"]


def test_without_a_group_each_subscription_gets_everything(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1), make_flag(2))
    for _ in range(2):
        with open_one() as solo:
            assert sorted(ids(solo)) == ["flag-1", "flag-2"]


def test_a_body_that_raises_gets_its_flag_again_in_the_next_loop(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(5)))
    seen: list[str] = []
    with open_one(group="g") as flags:
        with pytest.raises(RuntimeError):
            until_it_fails(flags, seen)
        seen.extend(ids(flags))
        assert flags.counts.again == 1
    assert seen == ["flag-0", "flag-1", "flag-2", "flag-2", "flag-3", "flag-4"]


def test_a_body_that_raised_gets_its_flag_again_after_a_restart(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(5)))
    with pytest.raises(RuntimeError), open_one(group="g") as flags:
        until_it_fails(flags, [])
    with open_one(group="g") as again:
        assert ids(again) == ["flag-2", "flag-3", "flag-4"]


def test_a_flag_said_to_be_done_before_a_break_does_not_come_again(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(3)))
    with open_one(group="g") as flags:
        for _ in flags:
            flags.done()
            break
    with open_one(group="g") as again:
        assert ids(again) == ["flag-1", "flag-2"]


def test_a_repeated_flag_is_dropped_within_the_window_and_not_beyond(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in (1, 1, 2, 3, 1)))
    with open_one() as wide:
        assert ids(wide) == ["flag-1", "flag-2", "flag-3"]
        assert wide.counts.duplicates == 2
    with open_one(dedupe_window=2) as narrow:
        assert ids(narrow) == ["flag-1", "flag-2", "flag-3", "flag-1"]
    with open_one(dedupe_window=0) as none:
        assert ids(none) == ["flag-1", "flag-1", "flag-2", "flag-3", "flag-1"]


def test_what_is_no_flag_goes_to_the_callback_and_the_loop_goes_on(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1), b"not json", b'{"id": 1}', make_flag(2))
    found: list[Malformed] = []
    with open_one(group="g", on_poison=found.append) as flags:
        assert sorted(ids(flags)) == ["flag-1", "flag-2"]
    assert sorted(one.raw.value or b"" for one in found) == [b"not json", b'{"id": 1}']
    with open_one(group="g", on_poison=found.append) as again:
        assert ids(again) == []
    assert len(found) == 2


def test_a_callback_that_raises_gets_its_record_again(open_one: Open, publish: Publish) -> None:
    publish(b"poison")
    with pytest.raises(ZeroDivisionError), open_one(group="g", on_poison=lambda _: 1 // 0) as flags:
        ids(flags)
    found: list[Malformed] = []
    with open_one(group="g", on_poison=found.append) as again:
        ids(again)
    assert len(found) == 1


def test_only_wanted_flags_come_and_the_others_count_as_done(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1), make_flag(2, decision="block"), make_flag(3))
    with open_one(group="g", decisions={"block"}) as flags:
        assert ids(flags) == ["flag-2"]
        assert flags.counts.filtered == 2
    with open_one(group="g") as rest:
        assert ids(rest) == []


def test_it_can_start_at_a_time(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1), timestamp_ms=1_000_000)
    publish(make_flag(2), make_flag(3), timestamp_ms=2_000_000)
    since = datetime.fromtimestamp(1_500, UTC)
    with open_one(start=since) as solo:
        assert sorted(ids(solo)) == ["flag-2", "flag-3"]
    with open_one(start=since, group="g") as grouped:
        assert sorted(ids(grouped)) == ["flag-2", "flag-3"]
    with open_one(start=datetime.fromtimestamp(3_000, UTC)) as later:
        assert ids(later) == []


def test_it_can_start_at_the_earliest_whatever_is_committed(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1))
    for _ in range(2):
        with open_one(group="g", start="earliest") as flags:
            assert ids(flags) == ["flag-1"]


@pytest.mark.parametrize("group", [None, "g"])
def test_it_can_start_at_the_latest(open_one: Open, publish: Publish, group: str | None) -> None:
    publish(make_flag(1))
    with open_one(start="latest", group=group) as flags:
        assert ids(flags) == []
        publish(make_flag(2))
        assert ids(flags) == ["flag-2"]
    if group:
        publish(make_flag(3))
        with open_one(group=group) as resumed:
            assert ids(resumed) == ["flag-3"]


def test_a_group_shares_the_partitions_and_loses_nothing_when_a_member_joins(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(200)))
    seen: Counter[str] = Counter()
    shares: dict[str, set[frozenset[int]]] = {"a": set(), "b": set()}

    def consume(name: str) -> None:
        with open_one(group="g", idle_timeout_s=3.0) as flags:
            for flag in flags:
                seen[flag.id] += 1
                shares[name].add(flags.partitions)
                time.sleep(0.005)

    first, second = (threading.Thread(target=consume, args=(name,)) for name in ("a", "b"))
    first.start()
    time.sleep(0.4)
    second.start()
    for number in range(200, 400):
        publish(make_flag(number))
    first.join()
    second.join()
    assert set(seen) == {f"flag-{number}" for number in range(400)}
    assert sum(seen.values()) == 400, "both leave and join in good order, so nothing comes twice"
    assert frozenset({0, 1}) in shares["a"]
    assert {frozenset({0}), frozenset({1})} & shares["b"]


def test_rebalance_callbacks_and_lag_can_be_read(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(10)))
    given: list[frozenset[int]] = []
    with open_one(group="g", on_assigned=given.append) as flags:
        loop = iter(flags)
        for _ in range(4):
            next(loop)
        assert sum(flags.lag.values()) == 7, "3 are done, the fourth is in hand"
        assert flags.partitions == {0, 1}
    assert given == [frozenset({0, 1})]


def test_stop_from_another_thread_ends_a_waiting_loop_soon(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1))
    flags = open_one(group="g", idle_timeout_s=None)
    threading.Timer(0.5, flags.stop).start()
    started_s = time.monotonic()
    assert ids(flags) == ["flag-1"]
    assert time.monotonic() - started_s < 5
    assert ids(flags) == []


def test_a_subscription_may_be_there_before_its_topic(broker: str, open_one: Open) -> None:
    with open_one(prefix="nothing.", idle_timeout_s=0.5) as flags:
        assert ids(flags) == []


def test_a_broker_that_is_not_there_is_one_clear_error(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.subscribe.blocking.CONNECT_TIMEOUT_S", 0.3)
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        ids(open_one(broker="127.0.0.1:1"))
