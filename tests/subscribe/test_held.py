"""Flags worked on side by side: what is committed, what comes again, and how many are open at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaConsumer, TopicPartition

from stream.errors import UsageError
from stream.subscribe import Held, Subscription, concurrent
from stream.subscribe.held import Ledger
from tests.flags import make_flag

from .conftest import Open, Publish


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_nothing_is_reached_past_what_is_open(wanted: list[bool], chance: random.Random) -> None:
    ledger = Ledger(0)
    committed = 0
    undone: list[int] = []
    reached = 0
    for offset, hand_out in enumerate(wanted):
        if hand_out:
            ledger.begin(offset)
            undone.append(offset)
        else:
            reached = ledger.skip(offset) or reached
        if undone and chance.random() < 0.5:
            reached = ledger.finish(undone.pop(chance.randrange(len(undone)))) or reached
        assert reached == min(undone, default=offset + 1)
        if chance.random() < 0.2:
            committed = reached
            ledger.committed(committed)
        assert ledger.open == len(undone)
        assert (ledger.span, ledger.due) == (offset + 1 - committed, reached - committed)
    for offset in undone:
        reached = ledger.finish(offset) or reached
    assert (reached, ledger.open, ledger.due) == (len(wanted), 0, len(wanted) - committed)


async def take(held: AsyncIterator[Held], count: int) -> list[Held]:
    return [await asyncio.wait_for(anext(held), 20) for _ in range(count)]


async def test_an_offset_is_committed_when_all_before_it_are_done(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(6)))
    async with open_one(group="g") as flags:
        first = await take(flags.held(), 6)
        for one in (first[0], first[1], first[3], first[5]):
            one.done()
        assert first[0].raw.value is not None
    async with open_one(group="g") as again:
        assert [one.flag.id async for one in done(again)] == ["flag-2", "flag-3", "flag-4", "flag-5"]


@pytest.mark.parametrize("group", ["g", None])
async def test_what_may_come_again_is_bounded_however_fast_flags_are_done(
    group: str | None, open_one: Open, publish: Publish, broker: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(concurrent, "COMMIT_INTERVAL_S", 1e9)
    publish(*(make_flag(number) for number in range(300)))
    async with open_one(group=group) as flags:
        held = flags.held(limit=2)
        for _ in range(300):
            (await asyncio.wait_for(anext(held), 20)).done()
        if group is not None:
            reader = KafkaConsumer(bootstrap_servers=broker, group_id=f"{prefix}{group}", enable_auto_commit=False)
            committed = sum(reader.committed(TopicPartition(f"{prefix}flags", partition)) or 0 for partition in range(2))
            reader.close()
            assert 300 - 2 * concurrent.SPAN <= committed <= 300


async def done(flags: Subscription) -> AsyncIterator[Held]:
    async for one in flags.held():
        yield one
        one.done()
        one.done()


async def test_no_more_are_open_than_the_limit_says_and_one_done_makes_room(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(10)))
    async with open_one(group="g") as flags:
        loop = flags.held(limit=3)
        held = await take(loop, 3)
        waiting = asyncio.ensure_future(anext(loop))
        finished, _ = await asyncio.wait([waiting], timeout=1)
        assert not finished, "a fourth came"
        held[1].done()
        assert (await asyncio.wait_for(waiting, 20)).flag.id not in {one.flag.id for one in held}


async def test_one_that_is_never_done_bounds_how_many_come_again(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number, entity="one") for number in range(60)))
    async with open_one(group="g") as flags:
        loop = flags.held(limit=2)
        (stuck,) = await take(loop, 1)
        for _ in range(19):
            (one,) = await take(loop, 1)
            one.done()
        waiting = asyncio.ensure_future(anext(loop))
        finished, _ = await asyncio.wait([waiting], timeout=1)
        assert not finished, "more than 10 times the limit would come again"
        stuck.done()
        (await asyncio.wait_for(waiting, 20)).done()


async def test_what_is_open_after_stop_can_be_finished_before_close(open_one: Open, publish: Publish) -> None:
    publish(make_flag(1, entity="one"), make_flag(2, entity="one"))
    flags = open_one(group="g", idle_timeout_s=None)
    loop = flags.held()
    held = await take(loop, 2)
    flags.stop()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(loop), 10)
    held[0].done()
    await flags.aclose()
    async with open_one(group="g") as again:
        assert [one.flag.id async for one in done(again)] == ["flag-2"]


async def test_members_hand_over_what_is_done_and_nothing_is_lost(open_one: Open, publish: Publish) -> None:
    publish(*(make_flag(number) for number in range(400)))
    seen: Counter[str] = Counter()

    async def work(one: Held) -> None:
        await asyncio.sleep(random.uniform(0.0, 0.1))
        seen[one.flag.id] += 1
        one.done()

    async def consume(delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        tasks = set()
        async with open_one(group="g", idle_timeout_s=3.0) as flags:
            async for one in flags.held(limit=10):
                task = asyncio.create_task(work(one))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

    await asyncio.gather(consume(0), consume(0.7))
    assert set(seen) == {f"flag-{number}" for number in range(400)}
    assert sum(seen.values()) == 400, "a rebalance waits for what is open"


async def test_a_member_whose_flags_take_long_stays_in_its_group_and_loses_nothing(
    open_one: Open, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It tells its client that it lives, as it would every ten seconds, while records are fetched and queued.
    monkeypatch.setattr(concurrent, "ALIVE_S", 0.1)
    publish(*(make_flag(number) for number in range(1_200)))
    seen: list[str] = []
    async with open_one(group="g") as flags:
        loop = flags.held(limit=2)
        for _ in range(3):
            held = await take(loop, 2)
            waiting = asyncio.ensure_future(anext(loop))
            await asyncio.sleep(0.6)
            assert not waiting.done()
            for one in held:
                seen.append(one.flag.id)
                one.done()
            one = await asyncio.wait_for(waiting, 20)
            seen.append(one.flag.id)
            one.done()
        async for one in flags.held():
            seen.append(one.flag.id)
            one.done()
    assert Counter(seen) == Counter(f"flag-{number}" for number in range(1_200))


async def test_a_limit_below_one_is_refused(open_one: Open) -> None:
    with pytest.raises(UsageError, match="limit"):
        open_one().held(limit=0)
