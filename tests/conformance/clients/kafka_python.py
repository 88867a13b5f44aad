"""kafka-python: written in Python, apart from aiokafka's code since 2017."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import BrokerResponseError, NoError, for_code

from tests.conformance.client import TIMEOUT_S, Compression, Record, Refused, Start, of_coordinator
from tests.conformance.clients.polling import HEARTBEAT_MS, POLL_S, Consumer, PollingMember


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the client's exceptions for error codes into `Refused`."""
    try:
        yield
    except BrokerResponseError as error:
        raise Refused(error.errno, str(error)) from error


def _check_told(told: str) -> None:
    """Raises `Refused` where the client's text is of an error: "[Error 40] …"."""
    if refused := re.match(r"\[Error (\d+)\]", told):
        raise Refused(int(refused[1]), told)


class KafkaPython:
    """The client behind `AdminClient`'s shape."""

    name = "kafka-python"

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._admin: Any = None

    @property
    def admin(self) -> Any:
        """Its admin client, connected when first asked for."""
        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self._broker)
        return self._admin

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()

    def produce(self, topic: str, records: Sequence[Record], *, compression: Compression = "none", idempotent: bool = False) -> list[int]:
        producer = KafkaProducer(
            bootstrap_servers=self._broker, compression_type=None if compression == "none" else compression,
            acks="all", enable_idempotence=idempotent, linger_ms=5, max_request_size=64 << 20, max_block_ms=3000,
        )  # fmt: skip
        try:
            with refusals():
                futures = [
                    producer.send(
                        topic, value=each.value, key=each.key, headers=list(each.headers), partition=each.partition,
                        timestamp_ms=each.timestamp_ms if each.timestamp_ms >= 0 else None,
                    )
                    for each in records
                ]  # fmt: skip
                return [future.get(timeout=TIMEOUT_S).offset for future in futures]
        finally:
            producer.close(timeout=0.5)

    def transact(self, transaction: str, topic: str, records: Sequence[Record], *, commit: bool = True) -> None:
        producer = KafkaProducer(bootstrap_servers=self._broker, transactional_id=transaction, max_block_ms=int(TIMEOUT_S * 1000))
        try:
            with refusals():
                producer.init_transactions()
                producer.begin_transaction()
                for each in records:
                    producer.send(topic, value=each.value, key=each.key, partition=each.partition).get(timeout=TIMEOUT_S)
                if commit:
                    producer.commit_transaction()
                else:
                    producer.abort_transaction()
        finally:
            producer.close(timeout=0.5)

    def read(self, topic: str, count: int, *, partition: int = 0, start: int | Start = "earliest", committed: bool = False) -> list[Record]:
        with self._assigned(topic, partition, committed=committed) as (consumer, tp):
            if start == "earliest":
                consumer.seek_to_beginning(tp)
            elif start == "latest":
                consumer.seek_to_end(tp)
            else:
                consumer.seek(tp, start)
            return _read(consumer, count)

    def offset_at(self, topic: str, timestamp_ms: int, *, partition: int = 0) -> int | None:
        with self._assigned(topic, partition) as (consumer, tp), refusals():
            found = consumer.offsets_for_times({tp: timestamp_ms})[tp]
        return None if found is None else int(found.offset)

    def partitions(self, topic: str) -> int:
        described = self.admin.describe_topics([topic])[0]
        self._check(described["error_code"])
        return len(described["partitions"])

    def join(self, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> PollingMember:
        consumer = KafkaConsumer(
            topic, bootstrap_servers=self._broker, group_id=group, group_instance_id=instance, session_timeout_ms=session_ms,
            heartbeat_interval_ms=HEARTBEAT_MS, auto_offset_reset="earliest", enable_auto_commit=False, fetch_max_wait_ms=100,
        )  # fmt: skip
        return PollingMember(
            Consumer(
                poll=lambda: as_records(consumer.poll(POLL_S * 1000)),
                assignment=lambda: {tp.partition for tp in consumer.assignment()},
                commit=lambda: committing(consumer),
                close=consumer.close,
            )
        )

    def create_topic(self, topic: str, *, partitions: int = 1, replication: int = 1, configs: Mapping[str, str] | None = None) -> None:
        wanted = {"num_partitions": partitions, "replication_factor": replication, "configs": dict(configs or {})}
        with refusals():
            self.admin.create_topics({topic: wanted}, wait_for_metadata=True)

    def delete_topic(self, topic: str) -> None:
        with refusals():
            self.admin.delete_topics([topic])

    def grow_topic(self, topic: str, partitions: int) -> None:
        with refusals():
            self.admin.create_partitions({topic: partitions})

    def topics(self) -> set[str]:
        return set(self.admin.list_topics())

    def configs(self, topic: str) -> dict[str, str]:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic, configs=None)
        with refusals():
            found = self.admin.describe_configs([asked], config_filter="all")
        (by_topic,) = found.values()
        return {name: about["value"] for name, about in by_topic[topic].items()}

    def set_config(self, topic: str, name: str, value: str) -> None:
        with refusals():
            answer = self.admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, configs={name: value})], raise_on_unknown=False
            )
        (by_topic,) = answer.values()
        _check_told(by_topic[topic])

    def delete_records(self, topic: str, before: int, *, partition: int = 0) -> None:
        with refusals():
            self.admin.delete_records({TopicPartition(topic, partition): before})

    def groups(self) -> set[str]:
        return {group["group_id"] for group in self.admin.list_groups()}

    def group_state(self, group: str) -> tuple[str, int]:
        def described() -> tuple[str, int]:
            with refusals():
                found = self.admin.describe_groups([group])[group]
            _check_told(found["error"] or "")
            return str(found["group_state"]), len(found["members"])

        return of_coordinator(described)

    def committed(self, group: str, topic: str) -> dict[int, int]:
        def found() -> dict[int, int]:
            with refusals():
                offsets = self.admin.list_group_offsets({group: None})[group]
            return {tp.partition: at.offset for tp, at in offsets.items() if tp.topic == topic}

        return of_coordinator(found)

    @contextmanager
    def _assigned(self, topic: str, partition: int, *, committed: bool = False) -> Iterator[tuple[Any, TopicPartition]]:
        consumer = KafkaConsumer(
            bootstrap_servers=self._broker, fetch_max_wait_ms=100, enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
        )  # fmt: skip
        tp = TopicPartition(topic, partition)
        try:
            consumer.assign([tp])
            yield consumer, tp
        finally:
            consumer.close()

    @staticmethod
    def _check(code: int) -> None:
        if (error := for_code(code)) is not NoError:
            raise Refused(code, error.__name__)


def committing(consumer: KafkaConsumer) -> None:
    """Commit what was polled."""
    with refusals():
        consumer.commit()


def as_records(polled: Mapping[Any, Sequence[Any]]) -> list[Record]:
    """What a poll returned, partition after partition."""
    return [
        Record(
            key=raw.key, value=raw.value, headers=tuple(raw.headers), timestamp_ms=raw.timestamp, partition=raw.partition, offset=raw.offset
        )
        for records in polled.values() for raw in records
    ]  # fmt: skip


def _read(consumer: KafkaConsumer, count: int) -> list[Record]:
    deadline_s = time.monotonic() + TIMEOUT_S
    found: list[Record] = []
    while len(found) < count and time.monotonic() < deadline_s:
        found += as_records(consumer.poll(POLL_S * 1000, max_records=count - len(found)))
    return found
