"""Consumers of one group share a topic's partitions through joins, leaves and deaths, and no record is missed."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # not in its stubs
from kafka import KafkaConsumer

from stream.embedded import BrokerSettings, EmbeddedBroker

SETTINGS = BrokerSettings(initial_rebalance_delay_s=0.05, default_partitions=6)


class Worker:
    """A consumer that notes what it reads and commits after it."""

    def __init__(self, address: str, seen: set[bytes], *, instance: str | None = None) -> None:
        self.seen = seen
        self.consumer = AIOKafkaConsumer(
            "t",
            bootstrap_servers=address,
            group_id="g",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            session_timeout_ms=1_500,
            heartbeat_interval_ms=200,
            rebalance_timeout_ms=3_000,
            group_instance_id=instance,
        )
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> "Worker":
        await self.consumer.start()
        self.task = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        while True:
            for records in (await self.consumer.getmany(timeout_ms=200, max_records=50)).values():
                self.seen.update(record.value for record in records)
            with suppress(Exception):  # fenced by a rebalance: another worker reads it again
                await self.consumer.commit()

    @property
    def share(self) -> set[int]:
        return {partition.partition for partition in self.consumer.assignment()}

    async def leave(self) -> None:
        assert self.task
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.consumer.stop()

    async def die(self) -> None:
        """Falls silent without leaving the group."""
        assert self.task
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        coordinator = self.consumer._coordinator
        coordinator._maybe_leave_group = _nothing
        await self.consumer.stop()


async def _nothing() -> None:
    return None


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_workers_that_join_leave_and_die_miss_no_record(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path, settings=SETTINGS) as broker:
        seen: set[bytes] = set()
        sent = 0
        async with AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True) as producer:

            async def send(count: int = 300) -> None:
                nonlocal sent
                for _ in range(count):
                    await producer.send("t", b"%d" % sent, partition=sent % 6)
                    sent += 1

            await send()
            first = await Worker(broker.address, seen).start()
            await until(lambda: first.share == set(range(6)))
            await send()
            second, third = await asyncio.gather(Worker(broker.address, seen).start(), Worker(broker.address, seen).start())
            await until(lambda: [len(each.share) for each in (first, second, third)] == [2, 2, 2])
            assert first.share | second.share | third.share == set(range(6))
            await send()
            await second.leave()
            await until(lambda: len(first.share) == len(third.share) == 3)
            await send()
            died = time.monotonic()
            await third.die()
            await until(lambda: first.share == set(range(6)))
            assert time.monotonic() - died < 6
            await send()
        await until(lambda: len(seen) == sent)
        assert seen == {b"%d" % i for i in range(sent)}
        await first.leave()
        await until(lambda: broker.node.groups["g"].state.value == "Empty")


async def test_a_static_worker_restarts_without_a_rebalance(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path, settings=SETTINGS) as broker:
        async with AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
            await producer.send_and_wait("t", b"0", partition=0)
        seen: set[bytes] = set()
        stays = await Worker(broker.address, seen, instance="stays").start()
        returns = await Worker(broker.address, seen, instance="returns").start()
        await until(lambda: len(stays.share) == len(returns.share) == 3)
        generation, share = broker.node.groups["g"].generation, returns.share
        await returns.die()
        returned = await Worker(broker.address, seen, instance="returns").start()
        await until(lambda: returned.share == share)
        assert broker.node.groups["g"].generation == generation
        await returned.leave()
        await stays.leave()


def test_clients_of_two_libraries_share_a_group(broker: EmbeddedBroker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic("t", 4, 1)])["t"].result(10)
    one = Consumer(
        {"bootstrap.servers": broker.address, "group.id": "g", "partition.assignment.strategy": "range", "heartbeat.interval.ms": 200}
    )
    one.subscribe(["t"])
    other: Any = KafkaConsumer("t", bootstrap_servers=broker.address, group_id="g", heartbeat_interval_ms=200)
    deadline = time.monotonic() + 20
    while not (len(one.assignment()) == len(other.assignment()) == 2):
        assert time.monotonic() < deadline
        one.poll(0.1)
        other.poll(100)
    assert {each.partition for each in one.assignment()} | {each.partition for each in other.assignment()} == {0, 1, 2, 3}
    other.close()
    one.close()
