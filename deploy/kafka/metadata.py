"""One metadata request over a socket of its own: whether a node is ready for clients, without a client's retries."""

from __future__ import annotations

import socket
import struct

from kafka.protocol.metadata import MetadataRequest, MetadataResponse

VERSION = 9
TIMEOUT_S = 5.0


def known_brokers(host: str, port: int) -> set[int]:
    """The ids of the brokers that this node tells clients of; empty while it has no controller. Raises `OSError` where nobody
    answers."""
    request = MetadataRequest(topics=[])
    request.with_header(correlation_id=1, client_id="flagstream")
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(request.encode(version=VERSION, header=True, framed=True))
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        answer = MetadataResponse.decode(_exactly(connection, size), version=VERSION, header=True)
    return {broker.node_id for broker in answer.brokers} if answer.controller_id >= 0 else set()


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionResetError("the node closed the connection")
        parts += part
    return bytes(parts)
