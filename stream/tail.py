"""`flagstream tail`: the records of a topic as they come, a line each, for people or as JSON."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from kafka import TopicPartition
from kafka.errors import KafkaError
from rich.console import Console

from schemas.base import Contract
from schemas.codec import Malformed, Position, RawRecord, Record, decode, encode
from schemas.flag import Flag
from schemas.topics import BY_NAME, Topic
from stream.errors import BrokerError, UsageError
from stream.names import Names
from stream.settings import Settings
from stream.subscribe.blocking import connect, offsets_at
from stream.subscribe.filters import Filter
from stream.subscribe.plan import POLL_S
from stream.tail_lines import line_of

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
EVERYTHING = Filter()
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since_of(text: str, *, now: datetime) -> datetime:
    """An ISO time (without an offset: UTC), or how long before `now`: 30s, 10m, 2h, 1d, 1w. Raises `UsageError`."""
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago is not None:
            return now - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text!r}: write a time such as 2026-01-31T12:00:00Z, or how long ago: 10m, 2h, 1d") from None
    if moment.timestamp() < 0:
        raise UsageError(f"--since {text!r}: a time before 1970")
    return moment


def tail(
    settings: Settings,
    topic: str = "flags",
    *,
    wanted: Filter = EVERYTHING,
    since: str | None = None,
    limit: int | None = None,
    as_json: bool = False,
    follow: bool = True,
    out: TextIO | None = None,
) -> int:
    """Print the records of `topic` of the table that come from now on, or since `since` (flags: those that are `wanted`), and return how
    many were printed: after `limit` of them, on Ctrl-C, when the reader of a pipe is gone or, without `follow`, at the end of what was
    there. What cannot be read is named on standard error. Raises `UsageError`, and `BrokerError` when the broker or the topic is not there."""
    if topic not in BY_NAME:
        raise UsageError(f"unknown topic {topic!r}; known: {', '.join(BY_NAME)}")
    if limit is not None and limit < 1:
        raise UsageError("--max must be at least 1")
    if wanted != EVERYTHING and BY_NAME[topic].payload is not Flag:
        raise UsageError(f"{topic} carries no flags: --label, --decision and the other conditions go with flags only")
    start = "latest" if since is None else since_of(since, now=datetime.now(UTC))
    printer = _Printer(out or sys.stdout, topic, as_json=as_json)
    try:
        for read in records(settings, BY_NAME[topic], start=start if follow or since is not None else "earliest", follow=follow):
            if read is None:
                if printer.unheard:
                    break
            elif isinstance(read, Malformed):
                printer.unreadable(read)
            elif not isinstance(read.body, Flag) or wanted.accepts(read.body):
                printer.record(read)
            if printer.printed == limit:
                break
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        _forget_output()
    return printer.printed


def records(settings: Settings, topic: Topic, *, start: str | datetime, follow: bool) -> Iterator[Record[Any] | Malformed | None]:
    """The records of all partitions of `topic`, those fetched together in the order of their times; None where none came for a moment.
    Raises `BrokerError`."""
    wire = Names(settings.prefix).wire(topic.name)
    consumer = connect(settings, group_id=None)
    try:
        tps = [TopicPartition(wire, number) for number in sorted(consumer.partitions_for_topic(wire) or ())]
        if not tps:
            raise BrokerError(f"topic {wire} is not there: create it with `flagstream topics create`")
        consumer.assign(tps)
        for tp, offset in offsets_at(consumer, tps, start).items():
            consumer.seek(tp, offset)
        ends = {} if follow else consumer.end_offsets(tps)
        while follow or any(consumer.position(tp) < end for tp, end in ends.items()):
            fetched = consumer.poll(timeout_ms=int(POLL_S * 1000))
            if not fetched:
                yield None
            for record in sorted((record for many in fetched.values() for record in many), key=lambda record: record.timestamp):
                at = Position(topic.name, record.partition, record.offset)
                yield decode(topic.payload, RawRecord(at, record.key, record.value, record.timestamp))
    except KafkaError as error:
        raise BrokerError(f"the broker at {settings.broker} refuses: {type(error).__name__}: {error}") from error
    finally:
        consumer.close(autocommit=False, timeout_ms=1_000)


class _Printer:
    """Writes lines and counts them."""

    def __init__(self, out: TextIO, topic: str, *, as_json: bool) -> None:
        self.printed = 0
        self._out = out
        self._topic = topic
        self._json = as_json
        self._console = Console(file=out, highlight=False, soft_wrap=True)

    @property
    def unheard(self) -> bool:
        """Whether nobody reads the output any more. Writing would tell, but there may be nothing to write for long."""
        try:
            watch = select.poll()
            watch.register(self._out.fileno(), 0)
        except (OSError, ValueError):
            return False
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in watch.poll(0))

    def record(self, read: Record[Contract]) -> None:
        """One line."""
        if self._json:
            self._out.write(encode(read.body).decode() + "\n")
        else:
            self._console.print(line_of(read, width=self._console.width), no_wrap=True, overflow="crop")
        self._out.flush()
        self.printed += 1

    def unreadable(self, found: Malformed) -> None:
        """A line beside the output."""
        at = found.raw.at
        sys.stderr.write(f"{at.topic}/{at.partition}@{at.offset} cannot be read: {found.reason}\n")


def _forget_output() -> None:
    """Nobody reads any more: what is still buffered must not raise at exit."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
    except (OSError, ValueError):
        return
