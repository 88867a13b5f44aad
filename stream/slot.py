"""A folder for this worker's local state that no other worker uses."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.errors import UsageError

MAX_WORKERS = 256


@contextmanager
def state_slot(folder: Path) -> Iterator[Path]:
    """The first free of `folder`/0, /1, …, locked while the context lasts, so that workers on one machine share a setting
    and a restarted worker finds its state again. Raises `UsageError` when the folder cannot be used."""
    for number in range(MAX_WORKERS):
        slot = folder / str(number)
        try:
            slot.mkdir(parents=True, exist_ok=True)
            lock = (slot / "lock").open("w")
        except OSError as error:
            raise UsageError(f"state folder {folder}: {error.strerror}; set FLAGSTREAM_STATE_DIR to one that can be written") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield slot
            return
    raise UsageError(f"state folder {folder}: all {MAX_WORKERS} slots are in use")
