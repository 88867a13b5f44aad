"""What the broker does beside requests: flushing, retention, compaction, forgetting old producers and offsets."""

import asyncio
import contextlib

from stream.embedded.compaction import Plan, compact, install
from stream.embedded.configs import TopicConfig
from stream.embedded.errors import RefusedError
from stream.embedded.group import State
from stream.embedded.log import PartitionLog
from stream.embedded.node import Node
from stream.eventlog import get_logger

logger = get_logger(__name__)


class Cleanup:
    """The broker's periodic tasks, from `start` to `stop`; `run_once` does all that is due."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts the tasks in the running loop."""
        if self._node.settings.fsync == "interval":
            self._tasks.append(asyncio.create_task(self._flush()))
        self._tasks.append(asyncio.create_task(self._clean()))

    async def stop(self) -> None:
        """Ends the tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.fsync_interval_s)
            for topic in self._node.topics:
                for log in topic.partitions:
                    with contextlib.suppress(OSError, RefusedError):  # the topic may be deleted meanwhile; a failing disk is logged
                        await log.flushed()

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(self._node.settings.cleanup_interval_s)
            try:
                await self.run_once()
            except Exception as error:  # the next round tries again; the broker goes on
                logger.exception("cleanup.failed", error=type(error).__name__)

    async def run_once(self) -> None:
        """Applies retention and compaction to every partition, and forgets what has expired."""
        node, now_ms = self._node, self._node.now_ms()
        for topic in node.topics:
            for log in topic.partitions:
                await log.sealed()
                log.producers.expire(now_ms - int(node.settings.producer_expiry_s * 1000))
                roll_old(log, topic.config, now_ms=now_ms)
                if topic.config.deleted:
                    retain(log, topic.config, now_ms=now_ms)
                if topic.config.compacted and topic.name in node.topics:
                    await self._compact(log, topic.config, now_ms=now_ms)
        self._forget_groups(now_ms)

    async def _compact(self, log: PartitionLog, config: TopicConfig, *, now_ms: int) -> None:
        await log.sealed()
        plan = self._plan(log, config, now_ms=now_ms)
        if plan is None:
            return
        loop, before = asyncio.get_running_loop(), log.size
        rewritten, end = await loop.run_in_executor(self._node.topics.disk, compact, plan)
        for each in rewritten:
            if any(segment not in log.segments for segment in each.old):
                each.path.unlink(missing_ok=True)  # retention, or a request, has deleted some of them meanwhile
                continue
            log.replace(each.old, install(each))
            for segment in each.old[1:]:
                segment.delete()
        log.set_cleaned(end)
        logger.info("log.compacted", partition=log.name, before_bytes=before, after_bytes=log.size)

    def _plan(self, log: PartitionLog, config: TopicConfig, *, now_ms: int) -> Plan | None:
        sealed = []
        for segment in log.segments[:-1]:
            if segment.max_timestamp > now_ms - config.min_compaction_lag_ms:
                break
            sealed.append(segment)
        dirty = sum(segment.size for segment in sealed if segment.end > log.cleaned)
        if not dirty or dirty < config.min_dirty_ratio * sum(segment.size for segment in sealed):
            return None
        settings = self._node.settings
        return Plan(
            segments=tuple(sealed),
            cleaned=log.cleaned,
            segment_bytes=log.segment_bytes,
            index_interval=settings.index_interval_bytes,
            max_keys=settings.compaction_max_keys,
            tombstones_before_ms=now_ms - config.delete_retention_ms,
        )

    def _forget_groups(self, now_ms: int) -> None:
        node = self._node
        before_ms = now_ms - int(node.settings.offsets_retention_s * 1000)
        for group_id in node.group_ids():
            group = node.groups.get(group_id)
            if group is None or group.state is State.EMPTY:
                node.offsets.expire(group_id, before_ms=before_ms, now_ms=now_ms)
                if group and group.members.is_idle and not node.offsets.of(group_id):
                    del node.groups[group_id]


def roll_old(log: PartitionLog, config: TopicConfig, *, now_ms: int) -> None:
    """Seals a segment that has taken records for as long as the topic allows."""
    if log.segments[-1].size and now_ms - log.rolled_ms >= config.segment_ms:
        log.roll(now_ms=now_ms)


def retain(log: PartitionLog, config: TopicConfig, *, now_ms: int) -> None:
    """Deletes the oldest segments that are past the topic's retention by time or size."""
    oldest_kept, total, expired = log.segments[0], log.size, now_ms - config.retention_ms
    active = log.segments[-1]
    if config.retention_ms >= 0 and active.size and active.max_timestamp < expired:
        log.roll(now_ms=now_ms)
    for segment in log.segments[:-1]:
        too_old = config.retention_ms >= 0 and segment.max_timestamp < expired
        too_much = config.retention_bytes >= 0 and total - segment.size >= config.retention_bytes
        if not too_old and not too_much:
            break
        total -= segment.size
        oldest_kept = log.segments[log.segments.index(segment) + 1]
    if oldest_kept is not log.segments[0]:
        logger.info("log.retained", partition=log.name, start=oldest_kept.base)
        log.delete_before(oldest_kept.base)
