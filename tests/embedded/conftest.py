"""A broker for each test, and a client that speaks the bare protocol."""

import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stream.embedded import BrokerSettings, EmbeddedBroker, running_broker
from stream.embedded.batch import build


class Wire:
    """One connection on which requests of kafka-python's message classes are sent and answered, nothing else."""

    def __init__(self, address: str, client_id: str = "wire") -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.client_id = client_id
        self.correlation_id = 0

    def send(self, request: Any, version: int) -> type[Any]:
        self.correlation_id += 1
        request.with_header(correlation_id=self.correlation_id, client_id=self.client_id)
        self.socket.sendall(request.encode(version=version, header=True, framed=True))
        return type(request)

    def receive(self, kind: type[Any], version: int) -> Any:
        from kafka.protocol.api_message import ResponseClassRegistry

        (size,) = struct.unpack(">i", self.exactly(4))
        frame = self.exactly(size)
        response = ResponseClassRegistry._response_class_registry[kind.API_KEY].decode(frame, version=version, header=True)
        assert response.header.correlation_id == self.correlation_id
        return response

    def ask(self, request: Any, version: int) -> Any:
        return self.receive(self.send(request, version), version)

    def exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            chunk = self.socket.recv(count - len(got))
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            got += chunk
        return got

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path / "data") as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[..., Wire]]:
    """Opens bare connections, closed when the test ends."""
    opened: list[Wire] = []

    def opening(broker: EmbeddedBroker, client_id: str = "wire") -> Wire:
        opened.append(Wire(broker.address, client_id))
        return opened[-1]

    yield opening
    for each in opened:
        each.close()


@pytest.fixture
def quick() -> BrokerSettings:
    """Settings under which sessions may be short and nothing is waited for."""
    return BrokerSettings(min_session_timeout_ms=50, initial_rebalance_delay_s=0.4)


@pytest.fixture
def make_batch() -> Callable[..., bytes]:
    """A record batch with the values given, as an idempotent producer numbers it if asked to."""

    def making(*values: bytes, producer: int = -1, epoch: int = -1, sequence: int = -1, at_ms: int = 1_000) -> bytes:
        import crc32c

        batch = bytearray(build(((b"k%d" % i, value) for i, value in enumerate(values)), at_ms=at_ms))
        struct.pack_into(">qhi", batch, 43, producer, epoch, sequence)
        struct.pack_into(">I", batch, 17, crc32c.crc32c(bytes(batch[21:])))
        return bytes(batch)

    return making
