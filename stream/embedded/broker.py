"""The embedded broker: one node that speaks the Kafka protocol on a loopback port and keeps its log in a directory.

For laptops, demonstrations, tests and fault injection; one process, one copy of the data. Scale is Apache Kafka's.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from stream.embedded.cleanup import Cleanup
from stream.embedded.connection import Connections
from stream.embedded.errors import BrokerStartError
from stream.embedded.faults import Faults
from stream.embedded.node import Node
from stream.embedded.settings import BrokerSettings
from stream.eventlog import get_logger

logger = get_logger(__name__)

_OPEN_FILES = 8192


class EmbeddedBroker:
    """A broker over `data_dir`, from `start` to `stop`, or as an asynchronous context manager.

    `port` 0 takes a free one; `address` says which. `BrokerStartError` where it cannot start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: BrokerSettings | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.settings = settings or BrokerSettings()
        self.faults = Faults()
        self.node: Node
        self.connections: Connections
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._lock: IO[str] | None = None
        self.cleanup: Cleanup

    @property
    def address(self) -> str:
        """`host:port`, as clients name the broker."""
        return f"{self.node.host}:{self.node.port}"

    async def start(self) -> None:
        """Returns once connections are taken and the log has been recovered."""
        self._check_host()
        self._lock = _lock(self.data_dir)
        try:
            listener = _listen(self._host, self._port)
        except BrokerStartError:
            self._lock.close()
            raise
        try:
            self.node = Node(self.data_dir, self.settings, self.faults)
        except (OSError, ValueError, KeyError) as error:
            listener.close()
            self._lock.close()
            raise BrokerStartError(f"data directory {self.data_dir} cannot be read: {error}") from error
        self.node.host = self.settings.advertised_host or self._host
        self.node.port = listener.getsockname()[1]
        self.connections = Connections(self.node)
        self.faults.attach(self)
        self.cleanup = Cleanup(self.node)
        self.cleanup.start()
        self._server = await asyncio.get_running_loop().create_server(self.connections.protocol, sock=listener)
        logger.info("broker.ready", address=self.address, topics=sum(1 for _ in self.node.topics))

    async def stop(self) -> None:
        """Ends every connection and puts the log on the disk."""
        if self._server is None:
            return
        self._server.close()
        await self.cleanup.stop()
        await self.connections.close()
        self._server = None
        self.node.close()
        if self._lock:
            self._lock.close()
        logger.info("broker.stopped", address=self.address)

    async def __aenter__(self) -> "EmbeddedBroker":
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def _check_host(self) -> None:
        if self.settings.allow_remote or self._host == "localhost":
            return
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(self._host).is_loopback:
                return
        raise BrokerStartError(f"{self._host} is no loopback address: the broker has no access control; set allow_remote if you mean it")


def _lock(data_dir: Path) -> IO[str]:
    """The data directory's lock, held until the file is closed; `BrokerStartError` where it cannot be had."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise BrokerStartError(f"data directory {data_dir} is not writable: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise BrokerStartError(f"data directory {data_dir} is in use by another broker") from None
    return lock


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off where the protocol is named, and only there: else an answer that follows another on its
    # connection, as that of a fetch follows any that was asked with it, waits for the client's delayed acknowledgement, 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise BrokerStartError(f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}") from error
    listener.setblocking(False)
    return listener


async def serve(
    data_dir: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    settings: BrokerSettings | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Runs a broker until the task is cancelled; `on_ready` is told the address once connections are taken."""
    _allow_files()
    async with EmbeddedBroker(data_dir, host=host, port=port, settings=settings) as broker:
        if on_ready is not None:
            on_ready(broker.address)
        await asyncio.Event().wait()


def _allow_files() -> None:
    """Raises the process's limit of open files towards what it may be: a file for each partition, a socket for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
