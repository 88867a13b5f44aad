"""Consumer groups on the broker: what they have committed, and where they begin. Blocking, like `admin`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    KafkaConnectionError,
    NodeNotReadyError,
    NoError,
    NotCoordinatorError,
    for_code,
)
from kafka.structs import OffsetAndMetadata

from stream.admin import admin
from stream.settings import Settings

T = TypeVar("T")

PATIENCE_S = 20.0
PAUSE_S = 0.1
_PASSES = CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError, NodeNotReadyError, KafkaConnectionError
"""A cluster makes its topic of offsets for its first group, and elects and loads coordinators anew when a node goes."""


def committed(settings: Settings, group: str) -> dict[TopicPartition, int]:
    """The offsets that `group`, by its name on the broker, has committed. Raises `BrokerError`."""
    return coordinated(settings, lambda client: offsets(client, group))


def offsets(client: KafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """The same, asked once of a client that is there."""
    return {place: kept.offset for place, kept in client.list_group_offsets(group).get(group, {}).items() if kept.offset >= 0}


def put(settings: Settings, group: str, starts: Mapping[TopicPartition, int]) -> None:
    """Let `group` begin at the offsets `starts`. Raises `BrokerError`, also where it has members, who alone may commit."""
    wanted = {place: OffsetAndMetadata(offset, "", -1) for place, offset in starts.items()}

    def asked(client: KafkaAdminClient) -> None:
        for place, error in client.alter_group_offsets(group, wanted).items():
            if error is not NoError:
                raise error(f"{group} at {place.topic}/{place.partition}")

    coordinated(settings, asked)


def state(settings: Settings, group: str) -> tuple[str, int]:
    """The state of `group` by the protocol's name, and how many members it has. Raises `BrokerError`."""

    def asked(client: KafkaAdminClient) -> tuple[str, int]:
        found = client.describe_groups([group])[group]
        # It tells errors as text: "[Error 16] …". One of them only says that there is no such group, which is then `Dead`.
        told = re.match(r"\[Error (\d+)\]", found["error"] or "")
        if told and int(told[1]) != GroupIdNotFoundError.errno:
            raise for_code(int(told[1]))(group)
        return str(found["group_state"]), len(found["members"])

    return coordinated(settings, asked)


def coordinated(settings: Settings, ask: Callable[[KafkaAdminClient], T]) -> T:
    """What `ask` returns, asked again for `PATIENCE_S` while a group has no coordinator. A client remembers who coordinated a
    group, so each try has its own. Raises `BrokerError`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with admin(settings) as client:
            try:
                return ask(client)
            except _PASSES:
                if time.monotonic() > deadline_s:
                    raise
        time.sleep(PAUSE_S)
