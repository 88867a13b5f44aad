"""A partition's log: segments in offset order, the last of which takes what is appended."""

import asyncio
import contextlib
import os
from bisect import bisect_right
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from stream.embedded import batch
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.recovery import recover, seal
from stream.embedded.segment import Segment, sync_directory, write_durably
from stream.embedded.settings import BrokerSettings
from stream.eventlog import get_logger

logger = get_logger(__name__)

_HINTS = 64  # read positions remembered, so that a reader who goes on costs no search


@dataclass(slots=True, eq=False)
class Waiter:
    """A fetch waiting for `missing` more bytes in any of its partitions."""

    missing: int
    ready: asyncio.Future[None]

    def arrived(self, count: int) -> None:
        """Counts bytes appended to one of the partitions."""
        self.missing -= count
        if self.missing <= 0 and not self.ready.done():
            self.ready.set_result(None)


class PartitionLog:
    """Appends, reads and looks up record batches of one partition. Used from one event loop only."""

    def __init__(self, directory: Path, settings: BrokerSettings, disk: Executor, *, now_ms: int) -> None:
        """`disk` runs what waits for the disk: flushes, and sealing a segment that is full."""
        self.directory = directory
        self.segment_bytes = settings.segment_bytes
        self.waiters: set[Waiter] = set()
        self._index_interval = settings.index_interval_bytes
        self._disk = disk
        self._hints: dict[int, tuple[Segment, int]] = {}
        self._sealing: list[Future[None]] = []
        self._flushing: asyncio.Task[None] | None = None
        found = recover(directory, settings, now_ms=now_ms)
        self.segments, self.producers = found.segments, found.producers
        self.start, self.cleaned = found.start, found.cleaned
        self.rolled_ms = now_ms
        self._fd = self._open_active()
        self._flushed = self.end

    def _open_active(self) -> int:
        active = self.segments[-1]
        active.index_path.unlink(missing_ok=True)
        self._new_file = True  # not yet known to be on the disk
        return os.open(active.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def close(self) -> None:
        """Puts everything on the disk, so that the next start trusts it unread."""
        for sealing in self._sealing:
            sealing.result()
        seal(self._fd, self.segments[-1], self.directory, self.producers.dump())

    def discard(self) -> None:
        """Lets go of the log's file before its directory is deleted, and wakes who waits for records."""
        os.close(self._fd)
        self._fd = -1
        self.wake()

    # -- what is there

    @property
    def name(self) -> str:
        """Topic and partition, for people."""
        return f"{self.directory.parent.name}-{self.directory.name}"

    @property
    def end(self) -> int:
        """The offset the next record gets."""
        return self.segments[-1].end

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.segments)

    # -- append

    def append(self, produced: bytes, header: batch.Header, *, now_ms: int, stamp: bool = False) -> int:
        """Writes a checked batch and returns its offset; an idempotent repeat returns the offset it got before.

        The records are with the operating system when this returns. `RefusedError` where a sequence is out of order or the
        disk does not take them.
        """
        earlier = self.producers.duplicate(header)
        if earlier is not None:
            return earlier
        if self.segments[-1].size and self.segments[-1].size + len(produced) > self.segment_bytes:
            self.roll(now_ms=now_ms)
        active, offset = self.segments[-1], self.end
        buffer = bytearray(produced)
        batch.number(buffer, offset)
        header = header._replace(base_offset=offset)
        if stamp:
            batch.stamp_append_time(buffer, header, now_ms)
            header = header._replace(max_timestamp=now_ms)
        self._write(active, buffer)
        active.note(header)
        self.producers.appended(header, offset, at_ms=now_ms)
        for waiter in tuple(self.waiters):
            waiter.arrived(len(buffer))
        return offset

    def _write(self, active: Segment, buffer: bytearray) -> None:
        try:
            view = memoryview(buffer)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, active.size)
            logger.error("log.write_failed", partition=self.name, error=error.strerror)
            raise RefusedError(ErrorCode.KAFKA_STORAGE_ERROR, f"the log cannot be written: {error.strerror}") from error

    def roll(self, *, now_ms: int) -> None:
        """Seals the active segment, beside the event loop, and begins the next."""
        if self._fd < 0:
            return  # the topic has been deleted meanwhile
        sealed, dumped = self.segments[-1], self.producers.dump()
        self._sealing = [each for each in self._sealing if not each.done()]
        self._sealing.append(self._disk.submit(seal, self._fd, sealed, self.directory, dumped))
        self.segments.append(Segment(self.directory, sealed.end, index_interval=self._index_interval))
        self.rolled_ms = now_ms
        self._fd = self._open_active()

    async def sealed(self) -> None:
        """Returns once every segment but the active one is on the disk with its index, and may be rewritten."""
        for sealing in tuple(self._sealing):
            await asyncio.wrap_future(sealing)

    async def flushed(self) -> None:
        """Returns once everything appended before the call is on the disk; callers at the same time share a flush.

        `RefusedError` where the disk fails.
        """
        target = self.end
        while self._flushed < target and self._fd >= 0:
            if self._flushing is None:
                self._flushing = asyncio.create_task(self._flush())
            await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        end, fd, loop = self.end, os.dup(self._fd), asyncio.get_running_loop()
        try:
            await self.sealed()
            new_file, self._new_file = self._new_file, False
            await loop.run_in_executor(self._disk, _fsync, fd, self.directory if new_file else None)
            self._flushed = max(self._flushed, end)
        except OSError as error:
            logger.error("log.flush_failed", partition=self.name, error=error.strerror)
            raise RefusedError(ErrorCode.KAFKA_STORAGE_ERROR, "the log cannot be flushed") from error
        finally:
            os.close(fd)
            self._flushing = None

    # -- read

    def read(self, offset: int, max_bytes: int, *, at_least_one: bool) -> bytes:
        """Batches from the one that holds `offset` on, up to `max_bytes`; the last may be cut short.

        With `at_least_one` the first batch is whole even if it is longer. `RefusedError` where the offset lies outside.
        """
        if not self.start <= offset <= self.end:
            raise RefusedError(ErrorCode.OFFSET_OUT_OF_RANGE)
        found = self._find(offset)
        if found is None or (max_bytes <= 0 and not at_least_one):
            return b""
        segment, position = found
        length = min(max_bytes, segment.size - position)
        if position + length < segment.size:
            boundary = segment.boundary_before(position + length)
            if boundary is not None and boundary[0] > position:
                length = boundary[0] - position
                self._remember(boundary[1], segment, boundary[0])
        elif length:
            self._remember(segment.end, segment, segment.size)
        with segment.path.open("rb", buffering=0) as file:
            chunk = os.pread(file.fileno(), max(length, batch.HEADER_BYTES), position)
            first = batch.header_at(chunk).size
            if first > length:
                return os.pread(file.fileno(), first, position) if at_least_one else b""
        return chunk[:length] if len(chunk) > length else chunk

    def _find(self, offset: int) -> tuple[Segment, int] | None:
        """The segment and position of the first batch that reaches `offset`."""
        hint = self._hints.get(offset)
        if hint is not None and hint[1] < hint[0].size:
            return hint
        at = max(bisect_right(self.segments, offset, key=lambda segment: segment.base) - 1, 0)
        for segment in self.segments[at:]:
            if offset >= segment.end and segment is not self.segments[-1]:
                continue
            position = segment.position_of(offset) if offset < segment.end else segment.size
            if position < segment.size:
                return segment, position
        return None

    def _remember(self, offset: int, segment: Segment, position: int) -> None:
        if len(self._hints) >= _HINTS:
            self._hints.pop(next(iter(self._hints)))
        self._hints[offset] = (segment, position)

    def wake(self) -> None:
        """Lets everyone who waits for records look again."""
        for waiter in tuple(self.waiters):
            waiter.arrived(waiter.missing)

    # -- cut off at the start

    def delete_before(self, offset: int) -> None:
        """Makes `offset` the log's first, and deletes segments that lie wholly before it."""
        self.start = max(self.start, offset)
        write_durably(self.directory / "start", str(self.start).encode())
        while len(self.segments) > 1 and self.segments[0].end <= self.start:
            self.segments.pop(0).delete()
        self._hints.clear()

    def replace(self, old: list[Segment], new: Segment) -> None:
        """Puts a compacted segment, already on disk, in the place of those it was made from."""
        at = self.segments.index(old[0])
        self.segments[at : at + len(old)] = [new]
        self._hints.clear()

    def set_cleaned(self, offset: int) -> None:
        """Remembers that compaction has come up to `offset`."""
        self.cleaned = offset
        write_durably(self.directory / "cleaned", str(offset).encode())


def _fsync(fd: int, directory: Path | None) -> None:
    os.fsync(fd)
    if directory is not None:
        sync_directory(directory)
