"""A flag to a program: JSON on standard input, no shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence

from schemas.codec import encode
from schemas.dead_letter import Response
from schemas.flag import Flag
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.errors import UsageError

CANNOT = os.EX_DATAERR
"""The exit status that says: this flag cannot be acted on, do not try again."""
MAX_SAID_BYTES = 4096
PASSED = ("PATH", "HOME", "LANG")


class Command:
    """Runs `command` once a flag, with nothing of our environment but `environment`."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], timeout_s: float) -> None:
        self._command = tuple(command)
        self._environment = dict(environment)
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Raises `UsageError` when the program is not there."""
        if shutil.which(self._command[0], path=self._environment.get("PATH")) is None:
            raise UsageError(f"command {self._command[0]!r}: no such program, or it may not be run")

    async def close(self) -> None:
        """Nothing is kept open."""

    async def send(self, flag: Flag) -> Answer:
        """0: delivered; `CANNOT`: refused; any other end: again. At the time limit the program and its children are killed."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
                env=self._environment, start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Again(reason=f"cannot be started: {type(error).__name__}")
        try:
            async with asyncio.timeout(self._timeout_s):
                said, _ = await asyncio.gather(_listen(process.stderr), _tell(process.stdin, encode(flag) + b"\n"))
                status = await process.wait()
        except (TimeoutError, asyncio.CancelledError) as error:
            # Its own session, so that its children go with it. It may be gone already.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            if isinstance(error, asyncio.CancelledError):
                raise
            return Again(reason=f"not done within {self._timeout_s:g} s")
        if status == 0:
            return Delivered()
        response = Response(status=status, body=said)
        return Refused(reason=f"exit {status}", response=response) if status == CANNOT else Again(reason=f"exit {status}", response=response)


async def _tell(stdin: asyncio.StreamWriter | None, line: bytes) -> None:
    assert stdin is not None, "a pipe was asked for"
    # A program need not read what it is told.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stdin.write(line)
        await stdin.drain()
    stdin.close()


async def _listen(stderr: asyncio.StreamReader | None) -> str:
    """The beginning of what it says; the rest is read and dropped, so that it does not block."""
    assert stderr is not None, "a pipe was asked for"
    said = b""
    while chunk := await stderr.read(65_536):
        said += chunk[: MAX_SAID_BYTES - len(said)]
    return said.decode("utf-8", "replace")
