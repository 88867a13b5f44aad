"""A topic as a source: read by assignment, without a group, up to the end offsets that it had at the start."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.codec import Position, RawRecord
from stream.clients import kafka_python_options
from stream.errors import BrokerError, NoBrokerError, UsageError
from stream.replay.source import Part
from stream.replay.window import Bound
from stream.settings import Settings

READ = 4_000
"""Records read at once where a whole topic is."""
POLL_MS = 500
SILENCE_S = 60.0
"""How long the broker may answer nothing before the replay gives up."""
CONNECT_S = 10.0
FETCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSource:
    """A stretch of one topic; `topic` is its name on the wire."""

    settings: Settings
    topic: str
    parts: tuple[Part, ...]
    gaps: tuple[str, ...] = ()
    """What was asked for and is no longer there, in words."""

    def batches(self, part: Part, *, size: int, begin: int) -> Iterator[list[RawRecord]]:
        """The records of `part` from offset `begin` on. Raises `BrokerError`."""
        if begin >= part.end:
            return
        place = TopicPartition(self.topic, part.number)
        with _consumer(self.settings) as consumer:
            consumer.assign([place])
            consumer.seek(place, begin)
            heard_s = time.monotonic()
            while consumer.position(place) < part.end:
                try:
                    fetched = consumer.poll(timeout_ms=POLL_MS, max_records=size).get(place, ())
                except OffsetOutOfRangeError:
                    # Retention was faster than the replay: what is left of the range still counts, the gap shows in the tally.
                    consumer.seek(place, min(part.end, max(consumer.beginning_offsets([place])[place], consumer.position(place) + 1)))
                    continue
                records = [
                    RawRecord(Position(self.topic, part.number, one.offset), one.key, one.value, one.timestamp, tuple(one.headers))
                    for one in fetched if one.offset < part.end
                ]
                if records:
                    heard_s = time.monotonic()
                    yield records
                    # The time that the caller took is not the broker's silence.
                    heard_s = max(heard_s, time.monotonic())
                elif not fetched and time.monotonic() - heard_s > SILENCE_S:
                    raise BrokerError(f"{self.topic}/{part.number}: nothing came from {self.settings.broker} for {SILENCE_S:.0f} s")

    def whole(self) -> Iterator[list[RawRecord]]:
        """All records, partition after partition. Raises `BrokerError`."""
        for part in self.parts:
            yield from self.batches(part, size=READ, begin=part.start)


def open_topic(
    settings: Settings, topic: str, *, since: Bound | None = None, until: Bound | None = None, warmup_ms: int | None = None
) -> TopicSource:
    """The stretch of `topic` from `since` (else its beginning) to `until` (else its end now), read from `warmup_ms` before
    (None: from its beginning) to rebuild the state. Raises `UsageError` when there is no such topic, `BrokerError`."""
    with _consumer(settings) as consumer:
        found = consumer.partitions_for_topic(topic)
        if not found:
            known = sorted(name for name in consumer.topics() if not name.startswith("__"))
            raise UsageError(f"no topic {topic!r} on {settings.broker}; there are: {', '.join(known) or 'none'}")
        places = [TopicPartition(topic, number) for number in sorted(found)]
        first, end = consumer.beginning_offsets(places), consumer.end_offsets(places)
        counted = _resolve(consumer, places, since, first, end)
        stop = _resolve(consumer, places, until, end, end)
        earlier = None if warmup_ms is None or since is None or since.at_ms is None else Bound(at_ms=since.at_ms - warmup_ms)
        start = counted if warmup_ms == 0 else _resolve(consumer, places, earlier, first, end)
        asked_ms = next((bound.at_ms for bound in (earlier, since, until) if bound is not None and bound.at_ms is not None), None)
        kept = {} if asked_ms is None else consumer.offsets_for_times(dict.fromkeys((place for place in places if first[place]), 0))
    parts, gaps = [], []
    for place in places:
        low, high = first[place], max(first[place], min(stop[place], end[place]))
        wanted = counted[place]
        if wanted < low:
            gaps.append(f"partition {place.partition}: offsets {wanted} to {low - 1} are no longer kept by the broker")
        oldest = kept.get(place)
        if asked_ms is not None and low and (oldest is None or oldest.timestamp > asked_ms):
            since_when = "nothing" if oldest is None else f"nothing from before {_moment(oldest.timestamp)}"
            gaps.append(f"partition {place.partition}: {since_when} is kept by the broker any longer, and {_moment(asked_ms)} was asked for")
        counts = min(max(wanted, low), high)
        parts.append(Part(number=place.partition, start=min(max(start[place], low), counts), counted=counts, end=high))
    if (since or until) and not gaps and all(part.counted >= part.end for part in parts):
        gaps.append(f"all of it: nothing lies in the range. {_what_is_there(settings, places, first, end)}")
    return TopicSource(settings=settings, topic=topic, parts=tuple(parts), gaps=tuple(gaps))


def read_all(settings: Settings, topic: str) -> Iterator[list[RawRecord]]:
    """The records of the whole topic, partition after partition. Raises as `open_topic` does."""
    return open_topic(settings, topic).whole()


def _what_is_there(
    settings: Settings, places: list[TopicPartition], first: dict[TopicPartition, int], end: dict[TopicPartition, int]
) -> str:
    """Where the records of a topic lie, in words, for whoever asked for a range that has none."""
    ends = {place: end[place] - 1 for place in places if end[place] > first[place]}
    if not ends:
        return "The topic holds no record at all"
    times: list[int] = []
    with _consumer(settings) as consumer:
        for at in (first, ends):
            consumer.assign(list(ends))
            for place in ends:
                consumer.seek(place, at[place])
            waiting, until_s = set(ends), time.monotonic() + CONNECT_S
            while waiting and time.monotonic() < until_s:
                for place, records in consumer.poll(timeout_ms=POLL_MS).items():
                    if place in waiting:
                        times.append(records[0].timestamp)
                        waiting.discard(place)
                        consumer.pause(place)
            consumer.unsubscribe()
    known = f", of {_moment(min(times))} to {_moment(max(times))}" if times else ""
    offsets = ", ".join(f"{place.partition}: {first[place]} to {last}" for place, last in ends.items())
    return f"The topic's records{known} have the offsets {offsets}"


def _resolve(
    consumer: Any,  # noqa: ANN401 (kafka-python is untyped)
    places: list[TopicPartition],
    wanted: Bound | None,
    default: dict[TopicPartition, int],
    end: dict[TopicPartition, int],
) -> dict[TopicPartition, int]:
    if wanted is None:
        return dict(default)
    if wanted.at_ms is None:
        offsets = {place: wanted.offset_in(place.partition) for place in places}
        return {place: default[place] if offset is None else offset for place, offset in offsets.items()}
    found = consumer.offsets_for_times(dict.fromkeys(places, max(0, wanted.at_ms)))
    # No answer: every record is older.
    return {place: end[place] if found.get(place) is None else found[place].offset for place in places}


def _moment(at_ms: int) -> str:
    # As it is asked of the broker: a length of time ago may reach back beyond all dates.
    return datetime.fromtimestamp(max(0, at_ms) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@contextmanager
def _consumer(settings: Settings) -> Iterator[Any]:
    broker = settings.need_broker()
    _knock(broker)
    try:
        consumer = KafkaConsumer(
            **kafka_python_options(settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=int(CONNECT_S * 1000),
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=2 * FETCH_BYTES,
        )
    except (KafkaError, OSError) as error:
        raise NoBrokerError(broker) from error
    try:
        yield consumer
    except KafkaError as error:
        raise BrokerError(f"the broker at {broker} refuses: {type(error).__name__}: {error}") from error
    finally:
        consumer.close(autocommit=False)


def _knock(broker: str) -> None:
    """Raises `BrokerError` at once where nobody listens: the client would retry for long, and leave its sockets open."""
    for address in broker.split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except OSError as error:
            failed = error
        else:
            return
    raise NoBrokerError(broker) from failed
