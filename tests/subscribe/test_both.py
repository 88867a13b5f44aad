"""What holds of a blocking loop holds of an asyncio loop: the same interface, run over both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from kafka import KafkaProducer

from schemas.codec import encode
from schemas.flag import LabelScore
from stream import topics
from stream.embedded import EmbeddedBroker
from stream.settings import Settings
from stream.subscribe import Subscription, subscribe
from tests.flags import make_flag

from .conftest import Open, Publish

Kind = Literal["blocking", "asyncio"]


class Loop:
    """A loop of one kind over subscriptions."""

    def __init__(self, kind: Kind) -> None:
        self._runner = asyncio.Runner() if kind == "asyncio" else None

    def ids(self, flags: Subscription, *, until: str | None = None, done: bool = False) -> list[str]:
        """The ids that come, up to `until`, where the body breaks off (with `done`: having said so)."""
        if self._runner is not None:
            return self._runner.run(self._aids(flags, until, done))
        found = []
        for flag in flags:
            found.append(flag.id)
            if flag.id == until:
                if done:
                    flags.done()
                break
        return found

    async def _aids(self, flags: Subscription, until: str | None, done: bool) -> list[str]:
        found = []
        async for flag in flags:
            found.append(flag.id)
            if flag.id == until:
                if done:
                    flags.done()
                break
        return found

    def close(self, flags: Subscription) -> None:
        """Leave in good order."""
        if self._runner is not None:
            self._runner.run(flags.aclose())
        else:
            flags.close()

    def once(self, flags: Subscription) -> list[str]:
        """All that comes to a subscription that is closed then, sorted."""
        try:
            return sorted(self.ids(flags))
        finally:
            self.close(flags)

    def end(self) -> None:
        if self._runner is not None:
            self._runner.close()


@pytest.fixture(params=["blocking", "asyncio"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = Loop(request.param)
    yield made
    made.end()


def test_each_condition_chooses(loop: Loop, open_one: Open, publish: Publish) -> None:
    sure = LabelScore(name="hate", score=0.96, threshold=0.5, severity="low")
    severe = LabelScore(name="threat", score=0.9, threshold=0.5, severity="critical")
    publish(
        make_flag(0), make_flag(1, kind="transaction"), make_flag(2, decision="block"), make_flag(3, labels=(sure,)), make_flag(4, labels=(severe,)),
        make_flag(5, tenant="a"),
    )  # fmt: skip
    wanted: list[tuple[dict[str, Any], list[str]]] = [
        ({"kinds": {"transaction"}}, ["flag-1"]), ({"decisions": {"block"}}, ["flag-2"]), ({"labels": {"hate"}}, ["flag-3"]),
        ({"min_score": 0.95}, ["flag-3"]), ({"min_severity": "high"}, ["flag-4"]), ({"entities": {"user-5"}}, ["flag-5"]),
        ({"tenants": {"a"}}, ["flag-5"]), ({"labels": {"threat"}, "min_score": 0.95}, []),
    ]  # fmt: skip
    assert [loop.once(open_one(**options, idle_timeout_s=0.4)) for options, _ in wanted] == [found for _, found in wanted]
    flags = open_one(group="g", decisions={"block"})
    assert loop.once(flags) == ["flag-2"]
    assert flags.counts.filtered == 5
    assert loop.once(open_one(group="g")) == [], "the others count as done"


def test_a_group_begins_at_the_earliest_and_then_where_it_stopped_unless_it_is_told(loop: Loop, open_one: Open, publish: Publish) -> None:
    # Not so long ago that the broker might think them too old to keep.
    hour = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    publish(make_flag(1), timestamp_ms=int(hour.timestamp()) * 1000)
    publish(make_flag(2), timestamp_ms=int(hour.timestamp()) * 1000 + 600_000)
    assert loop.once(open_one(idle_timeout_s=1.2, group="g")) == ["flag-1", "flag-2"]
    assert loop.once(open_one(idle_timeout_s=1.2, group="g")) == []
    assert loop.once(open_one(idle_timeout_s=1.2, group="g", start="earliest")) == ["flag-1", "flag-2"]
    assert loop.once(open_one(idle_timeout_s=1.2, group="g", start=hour + timedelta(minutes=5))) == ["flag-2"]
    assert loop.once(open_one(idle_timeout_s=1.2, group="g", start=hour + timedelta(minutes=15))) == []
    assert loop.once(open_one(idle_timeout_s=1.2, group="new", start="latest")) == []
    publish(make_flag(3))
    assert loop.once(open_one(idle_timeout_s=1.2, group="new")) == ["flag-3"], "where it began counts as where it stopped"


@pytest.mark.parametrize(
    ("request_of", "options"),
    [
        ("Fetch", {}), ("OffsetFetch", {"group": "g"}), ("ListOffsets", {"group": "g"}), ("Fetch", {"group": "g"}),
        ("Fetch", {"group": "g", "start": "earliest"}),
    ],
)  # fmt: skip
def test_silence_is_counted_from_when_the_broker_has_answered(
    loop: Loop, embedded_broker: EmbeddedBroker, request_of: str, options: dict[str, Any]
) -> None:
    topics.create(Settings(broker=embedded_broker.address), only={"flags"})
    with contextlib.closing(KafkaProducer(bootstrap_servers=embedded_broker.address)) as producer:
        producer.send("flags", encode(make_flag(1))).get(timeout=30)
    embedded_broker.faults.delay(request_of, 0.8)
    assert loop.once(subscribe(broker=embedded_broker.address, idle_timeout_s=0.2, **options)) == ["flag-1"]


def test_without_a_group_each_gets_everything_and_nothing_is_committed(loop: Loop, open_one: Open, publish: Publish) -> None:
    publish(make_flag(1), make_flag(2))
    for _ in range(2):
        assert loop.once(open_one()) == ["flag-1", "flag-2"]
    # One that is still open takes what comes.
    late = open_one(start="latest")
    assert loop.ids(late) == []
    publish(make_flag(3))
    assert loop.once(late) == ["flag-3"]


def test_what_was_broken_off_comes_again_unless_it_was_said_to_be_done(loop: Loop, open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(4)))
    flags = open_one(group="g")
    assert loop.ids(flags, until="flag-1") == ["flag-0", "flag-1"]
    assert loop.ids(flags, until="flag-2", done=True) == ["flag-1", "flag-2"]
    assert flags.counts.again == 1
    loop.close(flags)
    assert loop.once(open_one(group="g")) == ["flag-3"]


def test_what_is_no_flag_goes_to_the_callback_whatever_it_is(loop: Loop, open_one: Open, publish: Publish) -> None:
    nested = b'{"version":1,"id":' + b"[" * 100_000
    publish(b"\xff\xfe", b"", b"null", nested, b'{"version":99,"id":"x"}', make_flag(1))
    found: list[Any] = []
    flags = open_one(group="g", on_poison=found.append)
    assert loop.ids(flags) == ["flag-1"]
    assert flags.counts.poison == len(found) == 5
    assert all(one.reason and one.raw.at.topic.endswith("flags") for one in found)
    loop.close(flags)
    assert loop.once(open_one(group="g", on_poison=found.append)) == []
    assert len(found) == 5, "it counts as done"


def test_a_callback_that_raises_gets_its_record_again(loop: Loop, open_one: Open, publish: Publish) -> None:
    publish(b"poison")
    calls: list[object] = []

    def fussy(found: object) -> None:
        calls.append(found)
        if len(calls) == 1:
            raise RuntimeError("not now")

    flags = open_one(group="g", on_poison=fussy)
    with pytest.raises(RuntimeError, match="not now"):
        loop.ids(flags)
    assert loop.once(flags) == []
    assert len(calls) == 2


def test_repetitions_are_dropped_within_the_window(loop: Loop, open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in (1, 2, 1, 2, 3, 1)))
    assert loop.once(open_one()) == ["flag-1", "flag-2", "flag-3"]
    assert loop.once(open_one(dedupe_window=0)) == ["flag-1", "flag-1", "flag-1", "flag-2", "flag-2", "flag-3"]
    assert loop.once(open_one(dedupe_window=2)) == ["flag-1", "flag-1", "flag-2", "flag-3"]


def test_partitions_lag_and_callbacks_tell_how_it_goes(loop: Loop, open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(10)))
    given: list[frozenset[int]] = []
    taken: list[frozenset[int]] = []
    flags = open_one(group="g", on_assigned=given.append, on_revoked=taken.append)
    assert (flags.partitions, flags.lag) == (frozenset(), {})
    loop.ids(flags, until="flag-3")
    assert (flags.partitions, sum(flags.lag.values())) == (frozenset({0, 1}), 7), "3 are done, the fourth is in hand"
    assert (given, taken) == ([frozenset({0, 1})], [])
    loop.close(flags)
    assert (flags.partitions, flags.lag) == (frozenset(), {})
    assert taken == [frozenset({0, 1})], "whoever leaves gives them up"
    assert loop.ids(flags) == [], "what is closed stays closed"


def test_a_subscription_may_be_there_before_its_topic(loop: Loop, open_one: Open) -> None:
    assert loop.once(open_one(prefix="nothing.")) == []
    assert loop.once(open_one(prefix="nothing.", group="g")) == []
