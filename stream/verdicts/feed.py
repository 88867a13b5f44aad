"""Reads flags and verdicts into the window, in a thread of its own with a client of its own: the lanes never wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.codec import Position, RawRecord, Record, decode
from schemas.flag import Flag
from schemas.labels import BY_NAME
from schemas.verdict import Verdict
from stream import metrics
from stream.errors import BrokerError
from stream.names import Names
from stream.settings import Settings
from stream.subscribe.blocking import connect, offsets_at
from stream.subscribe.plan import METADATA_AGE_S, POLL_S
from stream.verdicts.say import Subject
from stream.verdicts.window import Window

log = structlog.get_logger(__name__)

POLL_RECORDS = 100
"""Few at a time: while they are read, which takes a millisecond or two, nothing else of this process runs."""
REST = 3.0
"""After reading, the thread rests so many times as long as it worked: however much there is, the lanes keep the interpreter."""
RETRY_S = 5.0
STOP_S = 3.0
BEFORE = timedelta(hours=1)
"""Verdicts are read from so long before the oldest flag of the window: clocks differ."""
OTHER = "other"
"""Stands for labels that our table does not have, so that a metric has no more values than the table."""


class Feed:
    """Keeps a window over the flags and verdicts topics, and the metrics that tell of it, up to date."""

    def __init__(self, settings: Settings) -> None:
        names = Names(settings.prefix)
        self._settings = settings
        self._flags, self._verdicts = names.wire("flags"), names.wire("verdicts")
        self._window = Window(settings.verdict_window)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.caught_up = threading.Event()
        """Set when everything that was there at the start has been read."""

    def subject(self, flag_id: str) -> Subject | None:
        """What the flag of this id is about, if it is one of the latest; from any thread."""
        with self._lock:
            return self._window.subject(flag_id)

    def stop(self) -> None:
        """End it soon; from any thread."""
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped. An outage of the broker is waited out, and the window is filled anew after it."""
        while not self._stopping.is_set():
            try:
                self._read()
            except (BrokerError, KafkaError, OSError) as error:
                log.warning("verdicts.retry", error=type(error).__name__, pause_s=RETRY_S)
                self._stopping.wait(RETRY_S)
            except Exception:
                # Precision is a convenience: whatever is wrong with it, the worker goes on.
                log.exception("verdicts.failed")
                self._stopping.wait(RETRY_S)

    def _read(self) -> None:
        consumer = connect(self._settings, group_id=None, max_poll_records=POLL_RECORDS, client_id="flagstream-verdicts")
        try:
            with self._lock:
                self._window = Window(self._settings.verdict_window)
            since = self._read_flags(consumer)
            verdicts = self._partitions(consumer, self._verdicts)
            if not verdicts:
                raise BrokerError(f"topic {self._verdicts} is not there")
            offsets = {tp: consumer.position(tp) for tp in consumer.assignment()} | offsets_at(consumer, verdicts, since)
            ends = consumer.end_offsets(verdicts) if verdicts else {}
            looked_s = time.monotonic()
            self._assign(consumer, offsets)
            while not self._stopping.is_set():
                self._take(consumer)
                if not self.caught_up.is_set() and all(consumer.position(tp) >= end for tp, end in ends.items()):
                    self.caught_up.set()
                if time.monotonic() - looked_s > METADATA_AGE_S:
                    looked_s = time.monotonic()
                    self._add_partitions(consumer)
                    if (behind := self._behind(consumer)) > self._settings.verdict_window:
                        # More flags than it reads: what is skipped would have left the window before a verdict could find it.
                        log.warning("verdicts.behind", flags=behind)
                        return
        finally:
            consumer.close(autocommit=False, timeout_ms=1_000)

    def _read_flags(self, consumer: KafkaConsumer) -> datetime:
        """Fill the window with the latest flags; the time from which verdicts are wanted."""
        flags = self._partitions(consumer, self._flags)
        oldest = datetime.now(UTC)
        if flags:
            first, ends = consumer.beginning_offsets(flags), consumer.end_offsets(flags)
            share = -(-self._settings.verdict_window // len(flags))
            self._assign(consumer, {tp: max(first[tp], ends[tp] - share) for tp in flags})
            while not self._stopping.is_set() and any(consumer.position(tp) < end for tp, end in ends.items()):
                for record in self._take(consumer):
                    if record.timestamp > 0:
                        oldest = min(oldest, datetime.fromtimestamp(record.timestamp / 1000, UTC))
        return max(oldest - BEFORE, datetime.fromtimestamp(0, UTC))

    def _partitions(self, consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]

    def _assign(self, consumer: KafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        consumer.assign(sorted(offsets))
        for tp, offset in offsets.items():
            consumer.seek(tp, offset)

    def _add_partitions(self, consumer: KafkaConsumer) -> None:
        """Topics and partitions that came later are read from their beginning."""
        held = consumer.assignment()
        new = [tp for topic in (self._flags, self._verdicts) for tp in self._partitions(consumer, topic) if tp not in held]
        if new:
            places = {tp: consumer.position(tp) for tp in held}
            self._assign(consumer, places | consumer.beginning_offsets(new))

    def _behind(self, consumer: KafkaConsumer) -> int:
        """Flags that are not read yet."""
        ends = consumer.end_offsets([tp for tp in consumer.assignment() if tp.topic == self._flags])
        return sum(end - consumer.position(tp) for tp, end in ends.items())

    def _take(self, consumer: KafkaConsumer) -> list[Any]:
        """Read what has come, and say what it changed."""
        begun_s = time.thread_time()
        fetched = [record for many in consumer.poll(timeout_ms=int(POLL_S * 1000)).values() for record in many]
        for record in fetched:
            raw = RawRecord(Position(record.topic, record.partition, record.offset), record.key, record.value, record.timestamp)
            flag = decode(Flag, raw) if record.topic == self._flags else None
            verdict = decode(Verdict, raw) if flag is None else None
            with self._lock:
                if isinstance(flag, Record):
                    self._window.flag(flag.body)
                elif isinstance(verdict, Record):
                    self._window.verdict(verdict.body)
        if fetched:
            self._measure()
            self._stopping.wait(REST * (time.thread_time() - begun_s))
        return fetched

    def _measure(self) -> None:
        with self._lock:
            counts, flags, early = dict(self._window.counts), len(self._window), self._window.early
        right: dict[str, int] = {}
        wrong: dict[str, int] = {}
        for (label, positive), count in counts.items():
            name = label if label in BY_NAME else OTHER
            kind = right if positive else wrong
            kind[name] = kind.get(name, 0) + count
        metrics.VERDICT_FLAGS.set(flags)
        metrics.VERDICTS_EARLY.set(early)
        for name in right | wrong:
            confirmed, overturned = right.get(name, 0), wrong.get(name, 0)
            metrics.VERDICTS.labels(name, "confirmed").set(confirmed)
            metrics.VERDICTS.labels(name, "overturned").set(overturned)
            metrics.PRECISION.labels(name).set(confirmed / (confirmed + overturned) if confirmed + overturned else float("nan"))


@contextmanager
def feeding(settings: Settings) -> Iterator[Feed | None]:
    """A feed that runs as long as the block; None where `verdict_window` is 0."""
    if not settings.verdict_window:
        yield None
        return
    feed = Feed(settings)
    thread = threading.Thread(target=feed.run, name="verdicts", daemon=True)
    thread.start()
    try:
        yield feed
    finally:
        feed.stop()
        thread.join(STOP_S)
