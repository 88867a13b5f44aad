"""The blocking subscription against a broker over real sockets."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from stream.errors import BrokerError
from stream.subscribe import Subscription
from stream.subscribe.plan import SESSION_TIMEOUT_MS
from tests.flags import make_flag

from .conftest import Open, Publish

ROOT = Path(__file__).parent.parent.parent

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



def test_stop_from_another_thread_ends_a_waiting_loop_soon(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1))
    flags = open_one(group="g", idle_timeout_s=None)
    threading.Timer(0.5, flags.stop).start()
    started_s = time.monotonic()
    assert ids(flags) == ["flag-1"]
    assert time.monotonic() - started_s < 5
    assert ids(flags) == []


def test_a_broker_that_is_not_there_is_one_clear_error(open_one: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.subscribe.blocking.CONNECT_TIMEOUT_S", 0.3)
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        ids(open_one(broker="127.0.0.1:1"))


def test_a_loop_without_with_leaves_its_group_when_it_is_over(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(5)))
    for flag in open_one(group="g"):
        if flag.id == "flag-2":
            break
    started_s = time.monotonic()
    with open_one(group="g") as again:
        assert next(iter(again)).id == "flag-2"
    assert time.monotonic() - started_s < SESSION_TIMEOUT_MS / 1000, "nobody waits for the first to be missed"


SCRIPT = """
import sys
from stream.subscribe import subscribe

for flag in subscribe(group="g", broker=sys.argv[1], prefix=sys.argv[2]):
    print(flag.id, flush=True)
"""


def test_ctrl_c_in_a_loop_without_with_commits_what_is_done(broker: str, prefix: str, open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(200)))
    command = [sys.executable, "-c", SCRIPT, broker, prefix]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline().strip()]
        process.send_signal(signal.SIGINT)
        hopeless = threading.Timer(60, process.kill)
        hopeless.start()
        seen += process.stdout.read().split()
        hopeless.cancel()
    with open_one(group="g") as again:
        rest = ids(again)
    assert len(seen) + len(rest) - 200 <= 1, "at most the one in hand comes again"
    assert {*seen, *rest} == {f"flag-{number}" for number in range(200)}
