"""What every request's answer is made from: the broker's topics, groups, offsets and settings."""

import json
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.embedded.budget import Budget
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.faults import Faults
from stream.embedded.group import Group, State
from stream.embedded.offsets import Offsets
from stream.embedded.segment import write_durably
from stream.embedded.settings import BrokerSettings
from stream.embedded.topics import OFFSETS_TOPIC, Topics
from stream.embedded.wire import Message

_PRODUCER_IDS = 1000  # reserved on disk at a time


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request as it came: its body, its version, and who asks."""

    request: Message
    version: int
    client_id: str
    client_host: str


class Node:
    """The broker behind its sockets. Created inside the event loop that it serves."""

    def __init__(self, data_dir: Path, settings: BrokerSettings, faults: Faults) -> None:
        self.settings = settings
        self.faults = faults
        self.host, self.port = "", 0
        self.budget = Budget(settings.max_buffer_bytes)
        self._about_path = data_dir / "broker.json"
        self._about = self._load_about()
        self.topics = Topics(data_dir / "topics", settings, now_ms=self.now_ms())
        if OFFSETS_TOPIC not in self.topics:
            overrides: dict[str, str | None] = {"cleanup.policy": "compact", "segment.bytes": str(16 << 20)}
            self.topics.create(OFFSETS_TOPIC, 1, overrides, now_ms=self.now_ms())
        self.offsets = Offsets(self.topics.log(OFFSETS_TOPIC, 0))
        self.groups: dict[str, Group] = {}
        self._next_producer = self._reserved = int(self._about["next_producer_id"])

    def _load_about(self) -> dict[str, Any]:
        if self._about_path.exists():
            about: dict[str, Any] = json.loads(self._about_path.read_bytes())
            return about
        return {"format": 1, "cluster_id": str(uuid.uuid4()), "next_producer_id": 1000}

    @property
    def cluster_id(self) -> str:
        """The cluster's id, the same across restarts."""
        return str(self._about["cluster_id"])

    @staticmethod
    def now_ms() -> int:
        """The clock, in milliseconds since 1970."""
        return int(time.time() * 1000)

    def new_producer_id(self) -> int:
        """A producer id never given out before, also across restarts."""
        if self._next_producer >= self._reserved:
            self._reserved = self._next_producer + _PRODUCER_IDS
            self._about["next_producer_id"] = self._reserved
            write_durably(self._about_path, json.dumps(self._about).encode())
        self._next_producer += 1
        return self._next_producer - 1

    def group(self, group_id: str) -> Group:
        """The group of this name, made where there is none yet."""
        if group_id not in self.groups:
            self.groups[group_id] = Group(group_id, self.settings)
        return self.groups[group_id]

    def known_group(self, group_id: str) -> Group:
        """The group of this name; `RefusedError` where there is none, so that a member of it cannot exist."""
        try:
            return self.groups[group_id]
        except KeyError:
            raise RefusedError(ErrorCode.UNKNOWN_MEMBER_ID) from None

    def check_deletable(self, group_id: str) -> None:
        """`RefusedError` unless the group exists and has no members."""
        if group_id not in self.group_ids():
            raise RefusedError(ErrorCode.GROUP_ID_NOT_FOUND)
        group = self.groups.get(group_id)
        if group and group.state is not State.EMPTY:
            raise RefusedError(ErrorCode.NON_EMPTY_GROUP)

    def group_ids(self) -> set[str]:
        """Groups with members, and groups of which only offsets are left."""
        alive = {group.id for group in self.groups.values() if group.state is not State.DEAD}
        return alive | set(self.offsets.groups())

    def close(self) -> None:
        """Refuses who waits, and puts every log on the disk."""
        for group in self.groups.values():
            group.close()
        self.topics.close()
