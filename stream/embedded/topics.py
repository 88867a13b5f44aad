"""The broker's topics: names, partitions and configs, kept in a directory each."""

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from stream.embedded import configs
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.log import PartitionLog
from stream.embedded.segment import sync_directory, write_durably
from stream.embedded.settings import BrokerSettings
from stream.eventlog import get_logger

logger = get_logger(__name__)

OFFSETS_TOPIC = "__consumer_offsets"
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_ABOUT = "topic.json"
_GONE = "~"  # no topic's name begins with it


class Topic:
    """One topic: its partitions' logs and its configs."""

    def __init__(self, directory: Path, about: dict[str, Any], settings: BrokerSettings, disk: Executor, *, now_ms: int) -> None:
        self.name = directory.name
        self.id = uuid.UUID(about["id"])
        self.overrides: dict[str, str] = about["configs"]
        self.internal = self.name == OFFSETS_TOPIC
        self._directory = directory
        self._settings = settings
        self._disk = disk
        self.partitions: list[PartitionLog] = []
        self._open_partitions(about["partitions"], now_ms=now_ms)
        self.configure(self.overrides)

    def configure(self, overrides: Mapping[str, str]) -> None:
        """Takes other overrides into effect."""
        self.overrides = dict(overrides)
        self.config = configs.effective(self.overrides, self._settings)
        for log in self.partitions:
            log.segment_bytes = self.config.segment_bytes

    def _open_partitions(self, count: int, *, now_ms: int) -> None:
        for index in range(len(self.partitions), count):
            log = PartitionLog(self._directory / str(index), self._settings, self._disk, now_ms=now_ms)
            self.partitions.append(log)

    def grow(self, count: int, *, now_ms: int) -> None:
        """Adds partitions up to `count`."""
        self._open_partitions(count, now_ms=now_ms)
        self.configure(self.overrides)
        self.save()

    def save(self) -> None:
        """Writes the topic's description beside its partitions."""
        about = {"id": str(self.id), "partitions": len(self.partitions), "configs": self.overrides}
        write_durably(self._directory / _ABOUT, json.dumps(about, indent=1).encode())

    def log(self, index: int) -> PartitionLog:
        """A partition's log; `RefusedError` where there is no such partition."""
        if not 0 <= index < len(self.partitions):
            raise RefusedError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return self.partitions[index]


class Topics:
    """Every topic under one directory."""

    def __init__(self, directory: Path, settings: BrokerSettings, *, now_ms: int) -> None:
        self._directory = directory
        self._settings = settings
        self.disk = ThreadPoolExecutor(max_workers=4, thread_name_prefix="embedded-broker-disk")
        self._topics: dict[str, Topic] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(directory.iterdir()):
            if path.name.startswith(_GONE) or not (path / _ABOUT).exists():
                shutil.rmtree(path, ignore_errors=True)  # deleted, or its creation never ended
                continue
            about = json.loads((path / _ABOUT).read_bytes())
            self._topics[path.name] = Topic(path, about, settings, self.disk, now_ms=now_ms)

    def __iter__(self) -> Iterator[Topic]:
        return iter(tuple(self._topics.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._topics

    def __getitem__(self, name: str) -> Topic:
        """`RefusedError` where there is no such topic."""
        try:
            return self._topics[name]
        except KeyError:
            raise RefusedError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION) from None

    def with_id(self, topic_id: uuid.UUID) -> Topic | None:
        """The topic with this id."""
        return next((topic for topic in self._topics.values() if topic.id == topic_id), None)

    def log(self, name: str, index: int) -> PartitionLog:
        """A partition's log; `RefusedError` where there is none."""
        return self[name].log(index)

    def check_new(self, name: str, partitions: int, overrides: Mapping[str, str | None]) -> dict[str, str]:
        """The checked configs of a topic that could be created; `RefusedError` where it could not."""
        check_name(name)
        if name in self._topics:
            raise RefusedError(ErrorCode.TOPIC_ALREADY_EXISTS, f"topic {name} exists")
        if partitions < 1:
            raise RefusedError(ErrorCode.INVALID_PARTITIONS, "a topic has at least one partition")
        self.check_room(partitions)
        return {key: configs.check(key, text) for key, text in overrides.items()}

    def check_room(self, more: int) -> None:
        """`RefusedError` where the broker holds too many partitions for so many more."""
        if sum(len(topic.partitions) for topic in self) + more > self._settings.max_partitions:
            raise RefusedError(ErrorCode.INVALID_PARTITIONS, f"the broker holds at most {self._settings.max_partitions} partitions")

    def create(self, name: str, partitions: int, overrides: Mapping[str, str | None], *, now_ms: int) -> Topic:
        """A new topic; `RefusedError` where `check_new` refuses it."""
        checked = self.check_new(name, partitions, overrides)
        path = self._directory / name
        path.mkdir(exist_ok=True)
        about = {"id": str(uuid.uuid4()), "partitions": partitions, "configs": checked}
        topic = Topic(path, about, self._settings, self.disk, now_ms=now_ms)
        topic.save()
        sync_directory(self._directory)
        self._topics[name] = topic
        logger.info("topic.created", topic=name, partitions=partitions, configs=checked)
        return topic

    def delete(self, name: str) -> None:
        """Removes a topic and its records."""
        topic = self[name]
        if topic.internal:
            raise RefusedError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} is the broker's own")
        del self._topics[name]
        for log in topic.partitions:
            log.discard()
        gone = self._directory / f"{_GONE}{topic.id}"
        (self._directory / name).rename(gone)
        self.disk.submit(shutil.rmtree, gone, ignore_errors=True)
        logger.info("topic.deleted", topic=name)

    def close(self) -> None:
        """Puts every log on the disk."""
        for topic in self:
            for log in topic.partitions:
                log.close()
        self.disk.shutdown()


def check_name(name: str) -> None:
    """`RefusedError` unless the protocol allows such a topic name."""
    if not _NAME.fullmatch(name) or name in (".", ".."):
        raise RefusedError(ErrorCode.INVALID_TOPIC_EXCEPTION, "a topic's name is 1 to 249 of the characters a-z A-Z 0-9 . _ -")
