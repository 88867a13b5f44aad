"""A pytest plugin: the brokers that tests run against.

A test that asks for `broker` runs twice, once against the embedded broker and once against Apache Kafka. The second run carries
the mark `kafka`, which is deselected unless asked for (`-m kafka`), and is skipped by name where Kafka cannot be started.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Literal

import pytest

from deploy.kafka import Cluster, KafkaMissingError, running_kafka
from stream import topics
from stream.embedded import BrokerSettings, running_broker
from stream.settings import Settings

BrokerName = Literal["embedded", "apache"]

EMBEDDED_LIKE_APACHE = BrokerSettings(auto_create_topics=False, default_partitions=4)
"""Set as the Apache node of the tests and of docker-compose.yml is: see deploy/kafka/properties.py."""

QUICK_TO_NOTICE = {"broker.heartbeat.interval.ms": "500", "broker.session.timeout.ms": "3000", "replica.lag.time.max.ms": "3000"}
"""A dead node is missed after 3 s instead of 9: outage tests wait for that."""


@pytest.fixture(scope="session")
def embedded_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of an embedded broker, one for the whole run."""
    with running_broker(tmp_path_factory.mktemp("embedded"), settings=EMBEDDED_LIKE_APACHE) as running:
        yield running.address


@pytest.fixture(scope="session")
def apache_address() -> Iterator[str]:
    """host:port of a single Apache Kafka node, one for the whole run."""
    try:
        with running_kafka() as cluster:
            yield cluster.address
    except KafkaMissingError as error:
        pytest.skip(f"Apache Kafka: {error}")


@pytest.fixture
def kafka_trio() -> Iterator[Cluster]:
    """Three Apache Kafka nodes with three copies of everything, fresh for each test: nodes may be killed. Such a test carries
    the mark `kafka` itself."""
    try:
        with running_kafka(nodes=3, settings=QUICK_TO_NOTICE) as cluster:
            yield cluster
    except KafkaMissingError as error:
        pytest.skip(f"Apache Kafka: {error}")


@pytest.fixture(scope="session", params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def broker_name(request: pytest.FixtureRequest) -> BrokerName:
    """Which of the two brokers this run is against."""
    name: BrokerName = request.param
    return name


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest, broker_name: BrokerName) -> str:
    """host:port of the broker. The two fixtures behind it live as long as the run, in whatever order tests come."""
    address: str = request.getfixturevalue(f"{broker_name}_address")
    return address


@pytest.fixture
def prefix() -> str:
    """A prefix for names of topics and groups that no other test uses: tests share their broker."""
    return f"t{uuid.uuid4().hex[:10]}-"


@pytest.fixture
def unique(prefix: str) -> Callable[[str], str]:
    """Turns a word into a name that no other test uses."""
    return lambda word: f"{prefix}{word}"


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """Settings of a cluster with the topics of the table, of which only this test uses the prefix."""
    found = Settings(broker=broker, prefix=prefix)
    topics.create(found)
    return found
