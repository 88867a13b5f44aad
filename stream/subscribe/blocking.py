"""The blocking client of a subscription, on kafka-python. For one thread; `stop` may be called from any."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kafka import AsyncConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import IllegalStateError, KafkaError

from schemas.flag import Flag
from stream.clients import kafka_python_options
from stream.errors import BrokerError, NoBrokerError
from stream.eventlog import get_logger
from stream.settings import Settings
from stream.subscribe.plan import (
    COMMIT_INTERVAL_S,
    CONNECT_TIMEOUT_S,
    CONSUMER,
    KEEPALIVE_S,
    METADATA_AGE_S,
    POLL_S,
    Plan,
)
from stream.subscribe.progress import Progress

log = get_logger(__name__)

CLOSE_TIMEOUT_S = 5.0


def connect(settings: Settings, **options: Any) -> KafkaConsumer:  # noqa: ANN401 (kafka-python's own keyword arguments)
    """A consumer that never commits by itself. Raises `BrokerError` when no broker answers."""
    chosen = {
        **CONSUMER,
        "allow_auto_create_topics": False,
        "reconnect_backoff_max_ms": 2_000,
        "bootstrap_timeout_ms": int(CONNECT_TIMEOUT_S * 1000),
        **kafka_python_options(settings),
        **options,
    }
    try:
        return KafkaConsumer(**chosen)
    except (KafkaError, OSError) as error:
        raise NoBrokerError(settings.broker) from error


def offsets_at(consumer: KafkaConsumer, tps: list[TopicPartition], start: str | datetime) -> dict[TopicPartition, int]:
    """Where `start` lies in each partition: the first record at or after a time, else the end."""
    if not tps:
        return {}
    if isinstance(start, datetime):
        found = consumer.offsets_for_times(dict.fromkeys(tps, int(start.timestamp() * 1000)))
        end = consumer.end_offsets(tps)
        return {tp: end[tp] if found.get(tp) is None else found[tp].offset for tp in tps}
    ends: dict[TopicPartition, int] = consumer.end_offsets(tps) if start == "latest" else consumer.beginning_offsets(tps)
    return ends


class BlockingReader:
    """Feeds `progress` and commits what is done."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        """Connects. Raises `BrokerError`."""
        self._plan = plan
        self._progress = progress
        self._stopping = self._closed = self._rejoining = False
        self._start_due = plan.start != "committed"
        self._committed_s = self._polled_s = self._looked_s = time.monotonic()
        self._consumer = connect(plan.settings, group_id=plan.group, **plan.client)
        if plan.group is not None:
            self._consumer.subscribe([plan.topic], listener=_Listener(self))

    @property
    def partitions(self) -> frozenset[int]:
        """Those held now."""
        return frozenset() if self._closed else frozenset(tp.partition for tp in self._consumer.assignment())

    def lag(self) -> dict[int, int]:
        """Records after the last one done, by partition, as far as known."""
        if self._closed:
            return {}
        ends = {tp.partition: self._consumer.highwater(tp) for tp in self._consumer.assignment()}
        reached = self._progress.next_offsets
        return {partition: max(0, end - reached[partition]) for partition, end in ends.items() if end is not None and partition in reached}

    def next(self) -> Flag | None:
        """The next flag; None when stopped, or when nothing came for the plan's idle time. Raises `BrokerError`."""
        heard_s = begun_s = time.monotonic()
        while not self._closed:
            self._progress.done()
            if self._stopping:
                self.close()
                return None
            now_s = time.monotonic()
            if now_s - self._committed_s >= COMMIT_INTERVAL_S:
                self._commit()
            settling = self._start_due
            try:
                if now_s - self._polled_s >= KEEPALIVE_S and not self._progress.empty:
                    self._keep_alive()
                if not self._rejoining:
                    flag = self._progress.take()
                    if flag is not None:
                        return flag
                records = self._poll()
            except KafkaError as error:
                if not getattr(error, "retriable", False):
                    raise BrokerError(f"the broker at {self._plan.settings.broker} refuses: {type(error).__name__}: {error}") from error
                log.warning("subscribe.retry", error=type(error).__name__)
                time.sleep(POLL_S)
                continue
            now_s = time.monotonic()
            if records or (now_s - begun_s < CONNECT_TIMEOUT_S and (settling or self._awaiting())):
                self._progress.put(records)
                heard_s = now_s
            elif self._plan.idle_timeout_s is not None and now_s - heard_s >= self._plan.idle_timeout_s:
                self._commit()
                return None
        return None

    def _awaiting(self) -> bool:
        """Whether something may be there of which the broker has not told yet, so that silence means nothing."""
        held = self._consumer.assignment()
        if not held:
            return self._plan.group is not None
        try:
            return not self._progress.at_end({tp.partition: self._consumer.highwater(tp) for tp in held})
        except IllegalStateError:
            # Given away since the line before: the client assigns in a thread of its own.
            return True

    def stop(self) -> None:
        """End the loop, from any thread: at once where it waits for records, else when the body in hand returned."""
        self._stopping = True

    def close(self) -> None:
        """Commit what is done, and leave the group."""
        if self._closed:
            return
        self._closed = True
        self._commit()
        self._consumer.close(autocommit=False, timeout_ms=int(CLOSE_TIMEOUT_S * 1000))

    def _poll(self) -> list[Any]:
        if self._plan.group is None:
            self._assign_all()
        fetched = self._consumer.poll(timeout_ms=int(POLL_S * 1000))
        self._polled_s = time.monotonic()
        if self._start_due and self._consumer.assignment():
            # The listener runs in the client's own thread and must not block, so the offsets are looked up here, and what
            # was fetched from elsewhere meanwhile is left out.
            self._seek(list(self._consumer.assignment()), self._plan.start)
            self._start_due = False
            return []
        return [record for records in fetched.values() for record in records]

    def _seek(self, tps: list[TopicPartition], start: str | datetime) -> None:
        offsets = offsets_at(self._consumer, tps, start)
        for tp, offset in offsets.items():
            self._consumer.seek(tp, offset)
        # They count as reached, so that a rebalance before the first flag does not lose the place.
        self._progress.begin({tp.partition: offset for tp, offset in offsets.items()})

    def _assign_all(self) -> None:
        """Without a group: every partition there is, also those that are added later."""
        held = self._consumer.assignment()
        if held and time.monotonic() - self._looked_s < METADATA_AGE_S:
            return
        self._looked_s = time.monotonic()
        found = {TopicPartition(self._plan.topic, number) for number in self._consumer.partitions_for_topic(self._plan.topic) or ()}
        if not found:
            # The topic is not there yet.
            time.sleep(POLL_S)
        elif found - held:
            places = {tp: self._consumer.position(tp) for tp in held}
            self._consumer.assign(sorted(found | held))
            for tp, place in places.items():
                self._consumer.seek(tp, place)
            if not held:
                self._seek(sorted(found), "earliest" if self._plan.start == "committed" else self._plan.start)
                self._start_due = False
            self._plan.on_assigned(frozenset(tp.partition for tp in found - held))

    def _keep_alive(self) -> None:
        """Take part in a rebalance without fetching more than is queued."""
        self._polled_s = time.monotonic()
        held = self._consumer.assignment()
        if self._plan.group is None or not held:
            return
        self._consumer.pause(*held)
        try:
            fetched = self._consumer.poll(timeout_ms=0)
        finally:
            self._consumer.resume(*(self._consumer.assignment() & held))
        self._progress.put(record for records in fetched.values() for record in records)

    def _commit(self) -> None:
        self._committed_s = time.monotonic()
        due = self._progress.due()
        if self._plan.group is None or not due:
            return
        try:
            self._consumer.commit(self._places(due), timeout_ms=int(CLOSE_TIMEOUT_S * 1000))
        except KafkaError as error:
            # Ours no longer, or the broker is away: at worst the flags come again.
            log.warning("subscribe.commit_failed", error=type(error).__name__)
        else:
            self._progress.committed(due)

    def _places(self, offsets: dict[int, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {TopicPartition(self._plan.topic, partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}

    # Rebalances. They run while this subscription polls, so no body is at work; nothing is taken from the queue between the two.

    async def revoked(self, tps: Iterable[TopicPartition], *, lost: bool) -> None:
        """Partitions may go to another member, or (`lost`) went there already."""
        self._rejoining = True
        due = self._progress.due()
        if lost:
            self._progress.drop()
        elif due:
            try:
                await self._consumer.commit_async(self._places(due))
            except KafkaError as error:
                log.warning("subscribe.commit_failed", error=type(error).__name__)
            else:
                self._progress.committed(due)
        if tps:
            self._plan.on_revoked(frozenset(tp.partition for tp in tps))

    def assigned(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions were given to this member. Of those it had before, kafka-python keeps the position: what is queued of
        them must stay, because it would not be fetched again."""
        self._rejoining = False
        partitions = frozenset(tp.partition for tp in tps)
        self._progress.keep(partitions)
        self._plan.on_assigned(partitions)


class _Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python is untyped
    def __init__(self, reader: BlockingReader) -> None:
        self._reader = reader

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._reader.revoked(revoked, lost=False)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        await self._reader.revoked(lost, lost=True)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._reader.assigned(assigned)
