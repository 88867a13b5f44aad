"""A Kafka cluster on loopback: one node, or three that replicate, in a folder that is gone afterwards."""

from __future__ import annotations

import base64
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.errors import KafkaStartError
from deploy.kafka.jars import java, ready_jars
from deploy.kafka.metadata import known_brokers
from deploy.kafka.node import Node, wait_until_stopped
from deploy.kafka.properties import Ports, node_properties

START_TIMEOUT_S = 90.0
_CLUSTER_ID = "cluster.id"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Running nodes. `address` lists all of them, as a client's bootstrap servers."""

    nodes: tuple[Node, ...]
    folder: Path

    @property
    def address(self) -> str:
        """host:port of every node, with commas between."""
        return ",".join(node.address for node in self.nodes)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Returns when the cluster's metadata names every node whose process lives, and a controller. Raises
        `KafkaStartError` after `timeout_s`, or as soon as a process ends."""
        alive = [node for node in self.nodes if node.running]
        deadline_s = time.monotonic() + timeout_s
        while not _answers(alive):
            for node in alive:
                if not node.running:
                    raise KafkaStartError(f"Kafka node {node.number} ended while starting:\n{node.last_words()}")
            if time.monotonic() > deadline_s:
                raise KafkaStartError(f"Kafka did not become ready in {timeout_s:.0f} s:\n{alive[0].last_words()}")
            time.sleep(0.2)


@contextmanager
def running_kafka(
    *,
    nodes: int = 1,
    data: Path | None = None,
    port: int = 0,
    settings: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """A ready cluster of `nodes`, each broker and controller at once; with three, topics have three copies of which two must
    be written. `data` keeps the log between runs (else it is temporary), `port` is the first node's (else a free one),
    `settings` are further Kafka properties and `environ` variables of the processes (KAFKA_… are not read: this is plain Java).
    Raises `KafkaMissingError` and `KafkaStartError`."""
    runtime, jars = java(), ready_jars()
    with ExitStack() as stack:
        folder = data if data is not None else Path(stack.enter_context(_temporary_folder()))
        folder.mkdir(parents=True, exist_ok=True)
        ports = free_ports(nodes, first=port)
        made = [
            Node(
                number, java=runtime, jars=jars, folder=folder / f"node-{number}", port=ports[number - 1].clients,
                properties=node_properties(number, ports, folder / f"node-{number}", settings or {}), environ=environ or {},
            )
            for number in range(1, nodes + 1)
        ]  # fmt: skip
        stack.callback(wait_until_stopped, made)
        cluster_id = _cluster_id(folder)
        for node in made:
            node.format(cluster_id)
        for node in made:
            node.start()
        cluster = Cluster(nodes=tuple(made), folder=folder)
        cluster.wait_ready()
        yield cluster


def free_ports(nodes: int, *, first: int = 0) -> list[Ports]:
    """Ports that nobody listens on now; `first` is the clients' port of the first node unless 0."""
    with ExitStack() as stack:
        taken = []
        for number in range(2 * nodes):
            held = stack.enter_context(closing(socket.socket()))
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind(("127.0.0.1", first if number == 0 else 0))
            except OSError as error:
                raise KafkaStartError(f"port {first} of 127.0.0.1 is taken: {error.strerror}") from error
            taken.append(held.getsockname()[1])
    return [Ports(clients=taken[2 * number], controller=taken[2 * number + 1]) for number in range(nodes)]


def _answers(nodes: Sequence[Node]) -> bool:
    """Whether each of these nodes answers a metadata request and knows all the others."""
    try:
        return all(known_brokers(node.host, node.port) >= {other.number for other in nodes} for node in nodes)
    except OSError:
        return False


def _cluster_id(folder: Path) -> str:
    """The id that this folder's cluster was formatted with, made where there is none yet."""
    kept = folder / _CLUSTER_ID
    if not kept.exists():
        # The letter in front because an id that begins with a dash would read as an option.
        kept.write_text("F" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:21])
    return kept.read_text()


@contextmanager
def _temporary_folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="flagstream-kafka-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
