from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import pytest

from tests.brokers.fixtures import BrokerName
from tests.conformance import wire
from tests.conformance.client import AdminClient, Client, Member
from tests.conformance.clients.aiokafka_client import Aiokafka
from tests.conformance.clients.confluent import Confluent
from tests.conformance.clients.kafka_python import KafkaPython
from tests.conformance.clients.kcat import Kcat, installed
from tests.conformance.differences import differences
from tests.conformance.scene import Join, MakeTopic, until

ADMIN_CLIENTS: tuple[type[AdminClient], ...] = (Aiokafka, KafkaPython, Confluent)
CLIENTS: tuple[type[Client], ...] = (*ADMIN_CLIENTS, Kcat)


def _made(made: type[Client], broker: str) -> Client:
    if made is Kcat and not installed():
        pytest.skip("no kcat (Debian: package kcat)")
    return made(broker)


@pytest.fixture(params=CLIENTS, ids=lambda made: made.name)
def client(request: pytest.FixtureRequest, broker: str) -> Iterator[Client]:
    """Each of the clients."""
    made = _made(request.param, broker)
    yield made
    made.close()


@pytest.fixture(scope="session")
def clients(broker: str) -> Iterator[Sequence[Client]]:
    """All clients that are here."""
    made = [each(broker) for each in CLIENTS if each is not Kcat or installed()]
    yield made
    for each in made:
        each.close()


@pytest.fixture(params=ADMIN_CLIENTS, ids=lambda made: made.name)
def admin_client(request: pytest.FixtureRequest, broker: str) -> Iterator[AdminClient]:
    """Each of the clients that administer."""
    made: AdminClient = request.param(broker)
    yield made
    made.close()


@pytest.fixture(scope="session")
def admin(broker: str) -> Iterator[AdminClient]:
    """One client that prepares what a test needs, and looks at what came of it."""
    made = Aiokafka(broker)
    yield made
    made.close()


@pytest.fixture
def connection(broker: str) -> Iterator[wire.Connection]:
    """A connection without a client."""
    with wire.Connection(broker) as made:
        yield made


@pytest.fixture
def make_topic(broker: str, admin: AdminClient, unique: Callable[[str], str]) -> MakeTopic:
    count = 0

    def make(*, partitions: int = 1, configs: Mapping[str, str] | None = None) -> str:
        nonlocal count
        count += 1
        name = unique(f"topic-{count}")
        admin.create_topic(name, partitions=partitions, configs=configs)
        # Metadata knows of a partition a moment before its leader takes requests.
        with wire.Connection(broker) as connection:
            until(lambda: all(wire.offset_at(connection, name, wire.LATEST, partition=n)[0] == 0 for n in range(partitions)))
        return name

    return make


@pytest.fixture
def join() -> Iterator[Join]:
    """Joins a group with a client; whoever has not left by the end of the test does then."""
    with ExitStack() as members:

        def joined(client: Client, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> Member:
            member = client.join(group, topic, instance=instance, session_ms=session_ms)
            members.callback(member.close)
            return member

        yield joined


@pytest.fixture
def known_difference(request: pytest.FixtureRequest, broker_name: BrokerName) -> Callable[[str], None]:
    """Called with the name of a difference in docs/brokers.md: on the embedded broker the test is then expected to fail."""

    def expect(name: str) -> None:
        told = differences()
        assert name in told, f"docs/brokers.md lists no difference {name!r}"
        if broker_name == "embedded":
            request.applymarker(pytest.mark.xfail(strict=True, reason=f"{name}: {told[name]}"))

    return expect
