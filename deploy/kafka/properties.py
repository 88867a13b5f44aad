"""The properties of a Kafka node. docker-compose.yml sets the same values of `COMMON` in its own way; a test compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COMMON: Mapping[str, str] = {
    # Topics are created by `flagstream topics create`, with the partitions and retention of the table.
    "auto.create.topics.enable": "false",
    # A topic that names no number of its own gets as many as the table's default.
    "num.partitions": "4",
    "log.retention.hours": "168",
    # The default of 50 is for thousands of groups.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    # Workers come and go one by one: waiting for more of them would only delay the first flag.
    "group.initial.rebalance.delay.ms": "200",
    # A worker may ask to be declared dead after one second, as tests do; the default refuses less than six.
    "group.min.session.timeout.ms": "1000",
}


@dataclass(frozen=True, kw_only=True)
class Ports:
    """A node's two ports on loopback: clients connect to one, and the nodes of a cluster to the other."""

    clients: int
    controller: int


def replication(nodes: int) -> dict[str, str]:
    """How many copies there are: three with two needed to acknowledge, or one on a single node."""
    copies, needed = (3, 2) if nodes >= 3 else (1, 1)
    return {
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(needed),
        "offsets.topic.replication.factor": str(copies),
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(needed),
        "share.coordinator.state.topic.replication.factor": str(copies),
        "share.coordinator.state.topic.min.isr": str(needed),
    }


def node_properties(number: int, cluster: Sequence[Ports], data: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """Everything in node `number`'s (from 1) properties file. `extra` wins, but further `listeners` and their security
    protocols are added to the plain one, which readiness is asked through."""
    own = cluster[number - 1]
    listeners, protocols = f"PLAINTEXT://127.0.0.1:{own.clients}", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"
    added = dict(extra)
    for_clients = ",".join(filter(None, (listeners, added.pop("listeners", ""))))
    return {
        "node.id": str(number),
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{ports.controller}" for n, ports in enumerate(cluster, 1)),
        "listeners": f"{for_clients},CONTROLLER://127.0.0.1:{own.controller}",
        "advertised.listeners": for_clients,
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(filter(None, (protocols, added.pop("listener.security.protocol.map", "")))),
        "log.dirs": str(data / "log"),
        **COMMON,
        **replication(len(cluster)),
        **added,
    }


def written(properties: Mapping[str, str]) -> str:
    """The text of a properties file."""
    # Java reads a backslash as an escape.
    return "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in properties.items())
