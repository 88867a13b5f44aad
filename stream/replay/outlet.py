"""A replay's flags into a topic of its own. That it is never a live one is seen from its name alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from kafka import KafkaProducer
from kafka.errors import KafkaError

from schemas.codec import Position, RawRecord, Record, decode
from schemas.flag import Flag
from stream.clients import kafka_python_options
from stream.errors import BrokerError, NoBrokerError, UsageError
from stream.settings import Settings

PREFIX = "replay-"
"""What the name of every topic that a replay writes to begins with, after the prefix of a shared cluster. No live topic does."""


def check_outlet(settings: Settings, topic: str) -> str:
    """The name on the broker of the topic to write to. Raises `UsageError` when it could be a live one."""
    if not topic.startswith(PREFIX) or not all(char.isascii() and (char.isalnum() or char in "._-") for char in topic):
        raise UsageError(f"--to {topic!r}: a replay writes only to topics named {PREFIX}…, never to a live one")
    return f"{settings.prefix}{topic}"


def publish(settings: Settings, flags: Iterable[bytes], *, topic: str) -> int:
    """Write `flags` (JSON), keyed by entity, to `topic`, which is created where the broker does so; how many. Raises `UsageError` for the
    name of a live topic, `BrokerError` when the broker refuses."""
    wire = check_outlet(settings, topic)
    try:
        producer = KafkaProducer(**kafka_python_options(settings), acks="all", linger_ms=20, compression_type="lz4")
    except (KafkaError, OSError) as error:
        raise NoBrokerError(settings.broker) from error
    count = 0
    failed: list[BaseException] = []
    with closing(producer):
        try:
            for value in flags:
                read = decode(Flag, RawRecord(Position(wire, 0, 0), None, value, 0))
                key = read.body.entity.encode() if isinstance(read, Record) else None
                producer.send(wire, value, key=key).add_errback(failed.append)
                count += 1
            producer.flush()
        except KafkaError as error:
            raise BrokerError(f"topic {wire}: {type(error).__name__}: {error}") from error
    if failed:
        raise BrokerError(f"topic {wire}: {len(failed)} flags were not written: {type(failed[0]).__name__}")
    return count
