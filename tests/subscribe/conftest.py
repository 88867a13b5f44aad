"""A broker of our own over real sockets, and flags to put on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic

from schemas.codec import encode
from schemas.flag import Flag
from stream.embedded import running_broker
from stream.subscribe import Subscription, subscribe


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running.address


_numbers = itertools.count()


@pytest.fixture
def prefix(broker: str) -> str:
    """A prefix under which an empty flags topic of 2 partitions exists."""
    chosen = f"t{next(_numbers)}."
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        admin.create_topics([NewTopic(f"{chosen}flags", 2, 1)])
    finally:
        admin.close()
    return chosen


Publish = Callable[..., None]


@pytest.fixture
def publish(broker: str, prefix: str) -> Iterator[Publish]:
    """Publishes flags, or raw bytes, keyed by entity, with record times if wanted."""
    producer = KafkaProducer(bootstrap_servers=broker, linger_ms=5)

    def send(*records: Flag | bytes, timestamp_ms: int | None = None) -> None:
        for record in records:
            key, value = (None, record) if isinstance(record, bytes) else (record.entity.encode(), encode(record))
            producer.send(f"{prefix}flags", value=value, key=key, timestamp_ms=timestamp_ms)
        producer.flush()

    yield send
    producer.close()


Open = Callable[..., Subscription]


@pytest.fixture
def open_one(broker: str, prefix: str) -> Open:
    """`subscribe` on this test's topic; the loop ends after a while of silence."""

    def build(**options: Any) -> Subscription:
        return subscribe(**{"broker": broker, "prefix": prefix, "idle_timeout_s": 0.8, **options})

    return build
