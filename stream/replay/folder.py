"""The folder of a run: one replay at a time works in it, and nothing but what a replay left is ever removed from it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import reduction
from pathlib import Path
from typing import Any

from stream.errors import StreamError, UsageError

LOCK = "replay.lock"
MANIFEST = "run.json"
PATIENCE_S = 15.0
"""How long the processes of a replay that was killed may take to notice it."""
_OURS = re.compile(rf"{re.escape(LOCK)}|{re.escape(MANIFEST)}(\.new)?|input|places(\.new)?|part-\d{{5,}}\..+")


class Hold:
    """A folder held for one replay. It can be given to a process that is spawned: the folder stays held until the last of them ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self._descriptor),)

    def close(self) -> None:
        """Let it go, as far as this process is concerned."""
        os.close(self._descriptor)


def _received(descriptor: Any) -> Hold:  # noqa: ANN401 (what multiprocessing hands over)
    return Hold(descriptor.detach())


@contextmanager
def held(folder: Path, *, again: bool = False, patience_s: float = PATIENCE_S) -> Iterator[Hold]:
    """Have `folder` for this replay alone, and make it where there is none. Raises `UsageError` when it is in use, or holds anything but a
    replay, `StreamError` when it cannot be written, then or later. With `again` the replay in it goes on, nothing is removed, and other
    files, such as its report, may lie beside it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in folder.iterdir()}
        if names and not again and not (names & {LOCK, MANIFEST} and all(_OURS.fullmatch(name) for name in names)):
            raise UsageError(f"{folder}: exists and is not the folder of a replay")
        hold = Hold(os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be the folder of a replay: {error.strerror}") from error
    try:
        _lock(hold, folder, patience_s)
        yield hold
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise unwritten(folder, error) from error
    finally:
        hold.close()


def _lock(hold: Hold, folder: Path, patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(hold._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise UsageError(f"{folder}: another replay is at work in it; name another folder by --run, or wait") from None
            time.sleep(0.2)
        else:
            return


def clear(folder: Path) -> None:
    """Remove what an earlier replay left in a folder that is held."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def unwritten(folder: Path, error: OSError) -> StreamError:
    """What to say when the disk is full, or not there any longer."""
    return StreamError(f"{error.filename or folder}: {error.strerror or error}; --resume goes on from the last checkpoint, if there is one")


def check_output(path: Path | None, *, name: str) -> None:
    """Raises `UsageError` where `path`, named by the option `name`, could not be written: a mistake should not show after an hour."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{name} {path}: is a folder, not a file")
    if not path.parent.is_dir():
        raise UsageError(f"{name} {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{name} {path}: cannot be written")
