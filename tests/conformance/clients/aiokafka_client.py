"""aiokafka: the client inside the worker. Its event loop runs in a thread, so that members heartbeat while a test does else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import BrokerResponseError, for_code

from tests.conformance.client import TIMEOUT_S, Compression, Record, Refused, Start, of_coordinator
from tests.conformance.clients.polling import HEARTBEAT_MS, POLL_S

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="aiokafka", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(TIMEOUT_S * 2)
        except BrokerResponseError as error:
            raise Refused(error.errno, str(error)) from error

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()


class AiokafkaMember:
    """A consumer that heartbeats and rebalances in its loop, whatever the test does."""

    def __init__(self, loop: LoopThread, consumer: AIOKafkaConsumer) -> None:
        self._loop, self._consumer = loop, consumer
        self._closed = False

    def assigned(self) -> set[int]:
        return {tp.partition for tp in self._consumer.assignment()}

    def poll(self, count: int) -> list[Record]:
        return self._loop.run(_poll(self._consumer, count))

    def commit(self) -> None:
        self._loop.run(self._consumer.commit())

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.run(self._consumer.stop())


class Aiokafka:
    """The client behind `AdminClient`'s shape."""

    name = "aiokafka"

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._loop = LoopThread()
        self._admin: AIOKafkaAdminClient | None = None

    def close(self) -> None:
        if self._admin is not None:
            self._loop.run(self._admin.close())
        self._loop.close()

    def produce(self, topic: str, records: Sequence[Record], *, compression: Compression = "none", idempotent: bool = False) -> list[int]:
        async def send() -> list[int]:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._broker, compression_type=None if compression == "none" else compression,
                acks="all", enable_idempotence=idempotent, linger_ms=5, max_request_size=64 << 20,
            )  # fmt: skip
            await producer.start()
            try:
                futures = [
                    await producer.send(
                        topic, value=each.value, key=each.key, headers=list(each.headers), partition=each.partition,
                        timestamp_ms=each.timestamp_ms if each.timestamp_ms >= 0 else None,
                    )
                    for each in records
                ]  # fmt: skip
                return [(await future).offset for future in futures]
            finally:
                await producer.stop()

        return self._loop.run(send())

    def transact(self, transaction: str, topic: str, records: Sequence[Record], *, commit: bool = True) -> None:
        async def send() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self._broker, transactional_id=transaction)
            try:
                await producer.start()
                await producer.begin_transaction()
                for each in records:
                    await producer.send_and_wait(topic, value=each.value, key=each.key, partition=each.partition)
                if commit:
                    await producer.commit_transaction()
                else:
                    await producer.abort_transaction()
            finally:
                await producer.stop()

        self._loop.run(send())

    def read(self, topic: str, count: int, *, partition: int = 0, start: int | Start = "earliest", committed: bool = False) -> list[Record]:
        async def fetch(consumer: AIOKafkaConsumer, tp: TopicPartition) -> list[Record]:
            if start == "earliest":
                await consumer.seek_to_beginning(tp)
            elif start == "latest":
                await consumer.seek_to_end(tp)
            else:
                consumer.seek(tp, start)
            return await _poll(consumer, count)

        return self._with_consumer(topic, partition, fetch, committed=committed)

    def offset_at(self, topic: str, timestamp_ms: int, *, partition: int = 0) -> int | None:
        async def find(consumer: AIOKafkaConsumer, tp: TopicPartition) -> int | None:
            found = (await consumer.offsets_for_times({tp: timestamp_ms}))[tp]
            return None if found is None else int(found.offset)

        return self._with_consumer(topic, partition, find)

    def partitions(self, topic: str) -> int:
        described = self._ask(lambda admin: admin.describe_topics([topic]))[0]
        _check(described["error_code"])
        return len(described["partitions"])

    def join(self, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> AiokafkaMember:
        async def begin() -> AIOKafkaConsumer:
            consumer = AIOKafkaConsumer(
                topic, bootstrap_servers=self._broker, group_id=group, group_instance_id=instance, session_timeout_ms=session_ms,
                heartbeat_interval_ms=HEARTBEAT_MS, auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=100,
            )  # fmt: skip
            await consumer.start()
            return consumer

        return AiokafkaMember(self._loop, self._loop.run(begin()))

    def create_topic(self, topic: str, *, partitions: int = 1, replication: int = 1, configs: Mapping[str, str] | None = None) -> None:
        new = NewTopic(topic, partitions, replication, topic_configs=dict(configs or {}))
        for _, code, *text in self._ask(lambda admin: admin.create_topics([new])).topic_errors:
            _check(code, *text)

    def delete_topic(self, topic: str) -> None:
        for _, code, *text in self._ask(lambda admin: admin.delete_topics([topic])).topic_error_codes:
            _check(code, *text)

    def grow_topic(self, topic: str, partitions: int) -> None:
        self._ask(lambda admin: admin.create_partitions({topic: NewPartitions(partitions)}))

    def topics(self) -> set[str]:
        return set(self._ask(lambda admin: admin.list_topics()))

    def configs(self, topic: str) -> dict[str, str]:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic)
        ((code, text, _, _, entries),) = self._ask(lambda admin: admin.describe_configs([asked]))[0].resources
        _check(code, text)
        return {name: value for name, value, *_ in entries}

    def set_config(self, topic: str, name: str, value: str) -> None:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})
        for code, text, *_ in self._ask(lambda admin: admin.alter_configs([asked]))[0].resources:
            _check(code, text)

    def delete_records(self, topic: str, before: int, *, partition: int = 0) -> None:
        self._ask(lambda admin: admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(before)}))

    def groups(self) -> set[str]:
        return {name for name, *_ in self._ask(lambda admin: admin.list_consumer_groups())}

    def group_state(self, group: str) -> tuple[str, int]:
        def described() -> tuple[str, int]:
            ((code, _, state, _, _, members, *_),) = self._ask(lambda admin: admin.describe_consumer_groups([group]))[0].groups
            _check(code)
            return str(state), len(members)

        return of_coordinator(described)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        found = of_coordinator(lambda: self._ask(lambda admin: admin.list_consumer_group_offsets(group)))
        return {tp.partition: at.offset for tp, at in found.items() if tp.topic == topic}

    def _ask(self, question: Callable[[AIOKafkaAdminClient], Coroutine[Any, Any, Any]]) -> Any:
        async def ask() -> Any:
            if self._admin is None:
                self._admin = AIOKafkaAdminClient(bootstrap_servers=self._broker)
                await self._admin.start()
            return await question(self._admin)

        return self._loop.run(ask())

    def _with_consumer(
        self, topic: str, partition: int, use: Callable[[AIOKafkaConsumer, TopicPartition], Coroutine[Any, Any, T]],
        *, committed: bool = False,
    ) -> T:  # fmt: skip
        async def work() -> T:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._broker, fetch_max_wait_ms=100, enable_auto_commit=False,
                isolation_level="read_committed" if committed else "read_uncommitted",
            )  # fmt: skip
            tp = TopicPartition(topic, partition)
            await consumer.start()
            try:
                consumer.assign([tp])
                return await use(consumer, tp)
            finally:
                await consumer.stop()

        return self._loop.run(work())


async def _poll(consumer: AIOKafkaConsumer, count: int) -> list[Record]:
    deadline_s = time.monotonic() + TIMEOUT_S
    found: list[Record] = []
    while len(found) < count and time.monotonic() < deadline_s:
        polled = await consumer.getmany(timeout_ms=int(POLL_S * 1000), max_records=count - len(found))
        found += [_as_record(each) for records in polled.values() for each in records]
    return found


def _as_record(raw: Any) -> Record:
    return Record(
        key=raw.key, value=raw.value, headers=tuple(raw.headers), timestamp_ms=raw.timestamp, partition=raw.partition, offset=raw.offset
    )


def _check(code: int, text: str | None = None) -> None:
    if code:
        raise Refused(code, text or for_code(code).__name__)
