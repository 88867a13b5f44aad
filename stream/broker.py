"""`flagstream broker`: the embedded broker as a process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from stream.embedded import BrokerSettings, EmbeddedBrokerError, serve
from stream.embedded.settings import FsyncPolicy
from stream.errors import UsageError


def run(data: Path, port: int, *, fsync: FsyncPolicy = "interval", on_ready: Callable[[str], None]) -> None:
    """Serve the log in `data` on loopback until SIGTERM or SIGINT. Raises `UsageError` when it cannot start."""

    async def until_told() -> None:
        serving = asyncio.create_task(serve(data, port=port, settings=BrokerSettings(fsync=fsync), on_ready=on_ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            return

    try:
        asyncio.run(until_told())
    except EmbeddedBrokerError as error:
        raise UsageError(str(error)) from error
