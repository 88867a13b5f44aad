"""confluent-kafka: librdkafka, the C client behind most of the other languages' clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

# What its admin module offers but does not export.
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.cimpl import NewPartitions, NewTopic

from tests.conformance.client import TIMEOUT_S, Compression, Record, Refused, Start, of_coordinator
from tests.conformance.clients.polling import HEARTBEAT_MS, POLL_S, PollingMember
from tests.conformance.clients.polling import Consumer as Consuming

QUIET = 0
"""syslog's emergencies: what goes wrong is in the answers."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the client's exceptions into `Refused`; its own errors have codes below -1."""
    try:
        yield
    except KafkaException as error:
        raise Refused(error.args[0].code(), error.args[0].str()) from error


def answer(futures: Mapping[Any, Future[Any]]) -> Any:
    """The one answer among the futures that admin calls return."""
    (future,) = futures.values()
    with refusals():
        return future.result(TIMEOUT_S)


class Confluent:
    """The client behind `AdminClient`'s shape."""

    name = "confluent-kafka"

    def __init__(self, broker: str) -> None:
        self._config: dict[str, str | int | float | bool] = {"bootstrap.servers": broker, "log_level": QUIET}
        self._kept: AdminClient | None = None

    @property
    def _admin(self) -> AdminClient:
        if self._kept is None:
            self._kept = AdminClient(self._config)
        return self._kept

    def close(self) -> None:
        self._kept = None

    def produce(self, topic: str, records: Sequence[Record], *, compression: Compression = "none", idempotent: bool = False) -> list[int]:
        producer = Producer(
            {
                **self._config, "compression.type": compression, "acks": "all", "enable.idempotence": idempotent, "linger.ms": 5,
                "message.max.bytes": 64 << 20, "message.timeout.ms": int(TIMEOUT_S * 1000),
            }
        )  # fmt: skip
        offsets: dict[int, int] = {}
        errors: list[Any] = []

        def delivery(index: int) -> Callable[[Any, Any], None]:
            def delivered(error: Any, message: Any) -> None:
                errors.extend([error] if error else [])
                offsets[index] = message.offset()

            return delivered

        for index, each in enumerate(records):
            producer.produce(
                topic, value=each.value, key=each.key, headers=list(each.headers), partition=each.partition,
                timestamp=max(each.timestamp_ms, 0), on_delivery=delivery(index),
            )  # fmt: skip
        producer.flush(TIMEOUT_S)
        if errors:
            raise Refused(errors[0].code(), errors[0].str())
        return [offsets[index] for index in range(len(records))]

    def transact(self, transaction: str, topic: str, records: Sequence[Record], *, commit: bool = True) -> None:
        producer = Producer({**self._config, "transactional.id": transaction})
        with refusals():
            producer.init_transactions(TIMEOUT_S)
            producer.begin_transaction()
            for each in records:
                producer.produce(topic, value=each.value, key=each.key, partition=each.partition)
            if commit:
                producer.commit_transaction(TIMEOUT_S)
            else:
                producer.flush(TIMEOUT_S)
                producer.abort_transaction(TIMEOUT_S)

    def read(self, topic: str, count: int, *, partition: int = 0, start: int | Start = "earliest", committed: bool = False) -> list[Record]:
        with self._consumer(committed=committed) as consumer:
            at = {"earliest": -2, "latest": -1}[start] if isinstance(start, str) else start
            consumer.list_topics(topic, timeout=TIMEOUT_S)  # else the first look for a leader comes half a second late
            consumer.assign([TopicPartition(topic, partition, at)])
            return _read(consumer, count)

    def offset_at(self, topic: str, timestamp_ms: int, *, partition: int = 0) -> int | None:
        with self._consumer() as consumer, refusals():
            (found,) = consumer.offsets_for_times([TopicPartition(topic, partition, timestamp_ms)], timeout=TIMEOUT_S)
        return None if found.offset < 0 else int(found.offset)

    def partitions(self, topic: str) -> int:
        with refusals():
            described = self._admin.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
        if described.error is not None:
            raise Refused(described.error.code(), described.error.str())
        return len(described.partitions)

    def join(self, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> PollingMember:
        config: dict[str, Any] = {
            **self._config, "group.id": group, "session.timeout.ms": session_ms, "heartbeat.interval.ms": HEARTBEAT_MS,
            "auto.offset.reset": "earliest", "enable.auto.commit": False, "enable.auto.offset.store": True, "fetch.wait.max.ms": 100,
        }  # fmt: skip
        consumer = Consumer({**config, "group.instance.id": instance} if instance else config)
        consumer.subscribe([topic])
        return PollingMember(
            Consuming(
                poll=lambda: _consumed(consumer, 100),
                assignment=lambda: {tp.partition for tp in consumer.assignment()},
                commit=lambda: _commit(consumer),
                close=consumer.close,
            )
        )

    def create_topic(self, topic: str, *, partitions: int = 1, replication: int = 1, configs: Mapping[str, str] | None = None) -> None:
        answer(self._admin.create_topics([NewTopic(topic, partitions, replication, config=dict(configs or {}))]))

    def delete_topic(self, topic: str) -> None:
        answer(self._admin.delete_topics([topic]))

    def grow_topic(self, topic: str, partitions: int) -> None:
        answer(self._admin.create_partitions([NewPartitions(topic, partitions)]))

    def topics(self) -> set[str]:
        return set(self._admin.list_topics(timeout=TIMEOUT_S).topics)

    def configs(self, topic: str) -> dict[str, str]:
        found = answer(self._admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]))
        return {name: entry.value for name, entry in found.items()}

    def set_config(self, topic: str, name: str, value: str) -> None:
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        asked = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        answer(self._admin.incremental_alter_configs([asked]))

    def delete_records(self, topic: str, before: int, *, partition: int = 0) -> None:
        answer(self._admin.delete_records([TopicPartition(topic, partition, before)]))

    def groups(self) -> set[str]:
        return {group.group_id for group in self._admin.list_consumer_groups().result(TIMEOUT_S).valid}

    def group_state(self, group: str) -> tuple[str, int]:
        found = of_coordinator(lambda: answer(self._admin.describe_consumer_groups([group])))
        states = {"STABLE": "Stable", "EMPTY": "Empty", "DEAD": "Dead"}
        return states.get(found.state.name, found.state.name), len(found.members)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        found = of_coordinator(lambda: answer(self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])))
        return {tp.partition: tp.offset for tp in found.topic_partitions if tp.topic == topic}

    @contextmanager
    def _consumer(self, *, committed: bool = False) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                **self._config, "group.id": "unused", "enable.auto.commit": False, "fetch.wait.max.ms": 100,
                "isolation.level": "read_committed" if committed else "read_uncommitted",
            }
        )  # fmt: skip
        try:
            yield consumer
        finally:
            consumer.close()


def _commit(consumer: Consumer) -> None:
    with refusals():
        consumer.commit(asynchronous=False)


def _read(consumer: Consumer, count: int) -> list[Record]:
    deadline_s = time.monotonic() + TIMEOUT_S
    found: list[Record] = []
    while len(found) < count and time.monotonic() < deadline_s:
        found += _consumed(consumer, count - len(found))
    return found


def _consumed(consumer: Consumer, count: int) -> list[Record]:
    return [_as_record(each) for each in consumer.consume(count, POLL_S) if each.error() is None]


def _as_record(raw: Any) -> Record:
    return Record(
        key=raw.key(), value=raw.value(), headers=tuple(raw.headers() or ()), timestamp_ms=raw.timestamp()[1],
        partition=raw.partition(), offset=raw.offset(),
    )  # fmt: skip
