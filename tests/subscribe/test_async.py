"""The asyncio subscription against a broker over real sockets."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from stream.errors import BrokerError, UsageError
from stream.subscribe import Subscription
from tests.flags import make_flag

from .conftest import Open, Publish


async def ids(subscription: Subscription) -> list[str]:
    return [flag.id async for flag in subscription]


async def test_a_group_gets_every_flag_once_and_goes_on_where_it_stopped(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(50)))
    async with open_one(group="g") as first:
        assert sorted(await ids(first)) == sorted(f"flag-{number}" for number in range(50))
    publish(make_flag(50), make_flag(51))
    async with open_one(group="g") as second:
        assert sorted(await ids(second)) == ["flag-50", "flag-51"]


async def test_a_blocking_member_goes_on_where_an_asyncio_member_stopped(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1))
    async with open_one(group="g") as first:
        assert await ids(first) == ["flag-1"]
    publish(make_flag(2))
    with open_one(group="g") as second:
        assert [flag.id for flag in second] == ["flag-2"]


async def test_a_body_that_raises_gets_its_flag_again(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(5)))
    seen: list[str] = []

    async def consume(subscription: Subscription) -> None:
        async for flag in subscription:
            seen.append(flag.id)
            if seen == ["flag-0", "flag-1", "flag-2"]:
                raise RuntimeError

    async with open_one(group="g") as flags:
        with pytest.raises(RuntimeError):
            await consume(flags)
    async with open_one(group="g") as again:
        await consume(again)
    assert seen == ["flag-0", "flag-1", "flag-2", "flag-2", "flag-3", "flag-4"]



async def test_a_cancelled_wait_loses_nothing(open_one: Open, publish: Publish) -> None:
    async with open_one(group="g", idle_timeout_s=None) as flags:
        loop = aiter(flags)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(loop), 1)
        publish(make_flag(1))
        assert (await asyncio.wait_for(anext(loop), 10)).id == "flag-1"


async def test_stop_ends_a_waiting_loop_soon(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1))
    flags = open_one(group="g", idle_timeout_s=None)
    asyncio.get_running_loop().call_later(1.0, flags.stop)
    assert await asyncio.wait_for(ids(flags), 10) == ["flag-1"]


async def test_members_share_the_partitions_and_lose_nothing_when_one_joins(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(600)))
    seen: Counter[str] = Counter()
    held: list[set[frozenset[int]]] = [set(), set()]

    async def consume(which: int) -> None:
        async with open_one(group="g", idle_timeout_s=2.0) as flags:
            async for flag in flags:
                seen[flag.id] += 1
                held[which].add(flags.partitions)
                await asyncio.sleep(0.01)

    async def join_later() -> None:
        await asyncio.sleep(0.5)
        await consume(1)

    await asyncio.gather(consume(0), join_later())
    assert set(seen) == {f"flag-{number}" for number in range(600)}
    assert sum(seen.values()) <= 602, "at most the flag in hand comes twice"
    assert frozenset({0, 1}) in held[0]
    assert {frozenset({0}), frozenset({1})} & held[1]


async def test_one_subscription_is_for_one_kind_of_loop(open_one: Open) -> None:
    flags = open_one()
    aiter(flags)
    with pytest.raises(UsageError, match="async for"):
        iter(flags)
    await flags.aclose()


async def test_a_broker_that_is_not_there_is_one_clear_error(open_one: Open) -> None:
    flags = open_one(broker="127.0.0.1:1")
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        await ids(flags)
