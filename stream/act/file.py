"""A line a flag, appended to a file."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from schemas.codec import encode
from schemas.flag import Flag
from stream.act.answer import Again, Answer, Delivered
from stream.errors import UsageError


class LinesFile:
    """Appends to `path` in a thread of its own: a disk that hangs holds up nobody else. The file may be moved away at any time (log
    rotation); a new one is begun then. With `fsync` a line that counts as delivered is on the disk, else with the system."""

    def __init__(self, path: Path, *, fsync: bool, timeout_s: float) -> None:
        self._path = path
        self._fsync = fsync
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="act-file")
        self._descriptor: int | None = None

    async def open(self) -> None:
        """Raises `UsageError` when the file cannot be written."""
        try:
            await self._in_thread(b"")
        except (OSError, TimeoutError) as error:
            raise UsageError(f"{self._path}: cannot be written: {getattr(error, 'strerror', None) or type(error).__name__}") from error

    async def close(self) -> None:
        """Close the file, without waiting for a disk that hangs."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._descriptor is not None:
            os.close(self._descriptor)

    async def send(self, flag: Flag) -> Answer:
        """A line in one write."""
        try:
            await self._in_thread(encode(flag) + b"\n")
        except TimeoutError:
            return Again(reason=f"not written within {self._timeout_s:g} s")
        except OSError as error:
            return Again(reason=error.strerror or type(error).__name__)
        return Delivered()

    async def _in_thread(self, line: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._thread, self._append, line), self._timeout_s)

    def _append(self, line: bytes) -> None:
        descriptor = self._current()
        start = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            left = line
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError:
            # The disk is full: half a line would spoil the next one too.
            os.ftruncate(descriptor, start)
            raise
        if self._fsync:
            os.fsync(descriptor)

    def _current(self) -> int:
        if self._descriptor is not None:
            try:
                if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                    return self._descriptor
            except FileNotFoundError:
                pass
            os.close(self._descriptor)
            self._descriptor = None
        self._descriptor = descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        # What a crash left unfinished is ended, so that the next line stands alone.
        size = os.lseek(descriptor, 0, os.SEEK_END)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
        return descriptor
