"""One file of a partition's log: whole record batches one after another, and a sparse index over them.

`<base>.log` holds the batches as they go over the wire. `<base>.index` is written when a segment is sealed or the broker
closes: it holds the index and the length it was made for. A log whose index fits is trusted at start; any other is read
through, each checksum is verified, and what follows the last whole batch is cut off.
"""

import os
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path

from crc32c import crc32c

from stream.embedded.batch import HEADER_BYTES, Header, crc_holds, header_at

_INDEX_HEADER = struct.Struct(">4sQQqII")  # magic, log bytes, end offset, largest timestamp, entries, checksum
_INDEX_MAGIC = b"FSX1"
_CHUNK = 1 << 20
_NO_TIME = -1


class Segment:
    """A run of batches with offsets from `base` up to, not including, `end`."""

    def __init__(self, directory: Path, base: int, *, index_interval: int) -> None:
        self.base = self.end = base
        self.path = directory / f"{base:020d}.log"
        self.size = 0
        self.max_timestamp = _NO_TIME
        self._interval = index_interval
        self._indexed_to = 0
        # A sparse index: entry i says that the batch at positions[i] begins at offsets[i], and that no record before it
        # is younger than times[i].
        self._offsets, self._positions, self._times = array("q"), array("q"), array("q")

    @property
    def index_path(self) -> Path:
        """Where the saved index is."""
        return self.path.with_suffix(".index")

    def note(self, header: Header) -> None:
        """Takes a batch just written at the end into account."""
        if self.size - self._indexed_to >= self._interval:
            self._offsets.append(header.base_offset)
            self._positions.append(self.size)
            self._times.append(self.max_timestamp)
            self._indexed_to = self.size
        self.size += header.size
        self.end = header.last_offset + 1
        self.max_timestamp = max(self.max_timestamp, header.max_timestamp)

    def recover(self, *, verify: bool) -> Iterator[Header]:
        """Reads the log through from its start, yielding each batch's header; stops before the first damaged one.

        `size` is then the length of what is whole. Without `verify` checksums are not computed.
        """
        self.size, self.end, self.max_timestamp, self._indexed_to = 0, self.base, _NO_TIME, 0
        self._offsets, self._positions, self._times = array("q"), array("q"), array("q")
        for batch, header in self.batches(0):
            if header.magic != 2 or header.base_offset < self.end or header.records < 0:
                return
            if verify and not crc_holds(batch, header):
                return
            self.note(header)
            yield header

    def batches(self, position: int) -> Iterator[tuple[memoryview, Header]]:
        """Whole batches with their headers from a batch's `position` on; ends at the first that is not whole."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(position)
            kept = b""
            while chunk := file.read(_CHUNK):
                data = memoryview(kept + chunk)
                at = 0
                while len(data) - at >= HEADER_BYTES:
                    header = header_at(data, at)
                    if header.length < HEADER_BYTES - 12:
                        return
                    if at + header.size > len(data):
                        break
                    yield data[at : at + header.size], header
                    at += header.size
                kept = bytes(data[at:])

    def position_of(self, offset: int) -> int:
        """Where the first batch begins that reaches `offset` or beyond; the segment's size if none does."""
        entry = bisect_right(self._offsets, offset) - 1
        at = self._positions[entry] if entry >= 0 else 0
        with self.path.open("rb", buffering=0) as file:
            while at < self.size:
                data = os.pread(file.fileno(), 64 << 10, at)
                walked = 0
                while len(data) - walked >= HEADER_BYTES and at + walked < self.size:
                    header = header_at(data, walked)
                    if header.last_offset >= offset:
                        return at + walked
                    walked += header.size
                if not walked:
                    break
                at += walked
        return self.size

    def position_of_time(self, timestamp: int) -> int:
        """A batch's position before which every record is older than `timestamp` (ms)."""
        entry = bisect_left(self._times, timestamp) - 1
        return self._positions[entry] if entry >= 0 else 0

    def boundary_before(self, position: int) -> tuple[int, int] | None:
        """The last indexed batch beginning at or before `position`: (position, offset)."""
        entry = bisect_right(self._positions, position) - 1
        return (self._positions[entry], self._offsets[entry]) if entry >= 0 else None

    def save_index(self) -> None:
        """Writes the index beside the log, whose bytes are on the disk before it."""
        body = self._offsets.tobytes() + self._positions.tobytes() + self._times.tobytes()
        head = _INDEX_HEADER.pack(_INDEX_MAGIC, self.size, self.end, self.max_timestamp, len(self._offsets), crc32c(body))
        write_durably(self.index_path, head + body)

    def load_index(self) -> bool:
        """Takes the saved index over if it was made for the log as it now is."""
        try:
            saved = self.index_path.read_bytes()
            magic, size, end, newest, entries, checksum = _INDEX_HEADER.unpack_from(saved)
            body = saved[_INDEX_HEADER.size :]
            if magic != _INDEX_MAGIC or size != self.path.stat().st_size or crc32c(body) != checksum:
                return False
        except (OSError, struct.error):
            return False
        if len(body) != 24 * entries:
            return False
        third = 8 * entries
        self._offsets, self._positions, self._times = array("q"), array("q"), array("q")
        self._offsets.frombytes(body[:third])
        self._positions.frombytes(body[third : 2 * third])
        self._times.frombytes(body[2 * third :])
        self.size, self.end, self.max_timestamp = size, end, newest
        self._indexed_to = self._positions[-1] if entries else 0
        return True

    def delete(self) -> None:
        """Removes the segment's files."""
        self.index_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


def write_durably(path: Path, content: bytes) -> None:
    """Replaces a file by its new content, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Puts on the disk which files a directory holds."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
