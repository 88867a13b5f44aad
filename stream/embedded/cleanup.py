"""What the broker does beside requests: flushing, retention, compaction, forgetting old producers and offsets."""

import asyncio
import contextlib

import structlog

from stream.embedded.configs import TopicConfig
from stream.embedded.log import PartitionLog
from stream.embedded.node import Node

logger = structlog.get_logger(__name__)


class Cleanup:
    """The broker's periodic tasks."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        if self._node.settings.fsync == "interval":
            self._tasks.append(asyncio.create_task(self._flush()))
        self._tasks.append(asyncio.create_task(self._clean()))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.fsync_interval_s)
            for topic in self._node.topics:
                for log in topic.partitions:
                    with contextlib.suppress(OSError):
                        await log.flushed()

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.cleanup_interval_s)
            now_ms = self._node.now_ms()
            for topic in self._node.topics:
                for log in topic.partitions:
                    retain(log, topic.config, now_ms=now_ms)


def retain(log: PartitionLog, config: TopicConfig, *, now_ms: int) -> None:
    """Deletes the oldest segments that are past the topic's retention by time or size."""
