"""One client's connection: frames in, answers out, in order and one at a time as Apache Kafka does it."""

import asyncio
import struct
from collections.abc import Callable

from stream.embedded.dispatch import BY_KEY, Api, refusal, versions
from stream.embedded.errors import ErrorCode, MalformedRequestError, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.wire import API_VERSIONS_KEY, Message, RequestHeader, frame_response, read_body, read_header
from stream.eventlog import get_logger

logger = get_logger(__name__)

_READ_BUFFER = 1 << 17  # asyncio holds up to twice as much for each connection
_SMALL = 1 << 16  # frames below this are not counted against the memory that requests may take


class Reader(asyncio.StreamReader):
    """A stream reader that tells at once when the peer has ended the connection."""

    on_end: Callable[[], None] | None = None

    def feed_eof(self) -> None:
        """Called by the transport."""
        super().feed_eof()
        if self.on_end is not None:
            self.on_end()


class Connection:
    """Reads requests from one socket and answers them until either side ends it."""

    def __init__(self, node: Node, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._node = node
        self._reader = reader
        self._writer = writer
        self.client_id = ""
        self._waiting: asyncio.Task[None] | None = None
        peer = writer.get_extra_info("peername") or ("unknown", 0)
        self._host = str(peer[0])

    async def serve(self) -> None:
        """Returns when the connection has ended; whatever the client sends, it raises nothing."""
        try:
            while await self._serve_one():
                pass
        except MalformedRequestError as error:
            logger.warning("connection.rejected", client=self.client_id, host=self._host, reason=str(error))
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except Exception as error:  # a fault of ours must not end the broker
            logger.exception("connection.failed", client=self.client_id, error=type(error).__name__)
        finally:
            self._writer.close()

    def cut(self) -> None:
        """Ends the connection at once, unsent bytes included."""
        self._writer.transport.abort()

    def peer_gone(self) -> None:
        """Ends the connection if its request waits for something to happen: nobody is there to be told."""
        if self._waiting is not None:
            self._waiting.cancel()

    async def _serve_one(self) -> bool:
        settings = self._node.settings
        try:
            async with asyncio.timeout(settings.idle_connection_s):
                prefix = await self._reader.readexactly(4)
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise MalformedRequestError("ended inside a frame's length") from None
            return False
        (size,) = struct.unpack(">i", prefix)
        if not 8 <= size <= settings.max_request_bytes:
            raise MalformedRequestError(f"a frame of {size} bytes; at most {settings.max_request_bytes} are taken")
        counted = size if size > _SMALL else 0
        await self._node.budget.take(counted)
        try:
            try:
                async with asyncio.timeout(settings.frame_timeout_s):
                    frame = await self._reader.readexactly(size)
            except asyncio.IncompleteReadError as end:
                raise MalformedRequestError(f"ended after {len(end.partial)} of {size} bytes") from None
            return await self._answer(frame)
        finally:
            self._node.budget.give(counted)

    async def _answer(self, frame: bytes) -> bool:
        node, header = self._node, read_header(frame)
        self.client_id = header.client_id
        api = BY_KEY.get(header.key)
        if api is None:
            raise MalformedRequestError(f"request {header.key} is not spoken")
        if not api.from_ <= header.version <= api.to:
            return await self._wrong_version(api, header)
        if len(frame) > node.settings.max_control_bytes and api.name != "Produce":
            raise MalformedRequestError(f"{api.name} of {len(frame)} bytes")
        request = read_body(frame, header, api.request)
        call = Call(request=request, version=header.version, client_id=header.client_id, client_host=self._host)
        response = await self._response(api, call)
        if node.faults.drops(api.name):
            self.cut()
            return False
        if response is not None:
            await self._send(frame_response(header, response))
        return True

    async def _response(self, api: Api, call: Call) -> Message:
        faults = self._node.faults
        if delay := faults.delay_of(api.name):
            await asyncio.sleep(delay)
        try:
            if api.name != "Produce" and (code := faults.failure_of(api.name)) is not None:
                raise RefusedError(code)
            if api.waits:
                self._waiting = asyncio.current_task()
            return await api.answer(self._node, call)
        except RefusedError as refused:
            response = refusal(api, call.request, refused)
            if response is None:
                raise MalformedRequestError(f"{api.name}: {refused}") from refused
            return response
        finally:
            self._waiting = None

    async def _wrong_version(self, api: Api, header: RequestHeader) -> bool:
        logger.info("request.version_refused", api=api.name, version=header.version, client=header.client_id)
        unsupported = ErrorCode.UNSUPPORTED_VERSION
        if header.key == API_VERSIONS_KEY:
            await self._send(frame_response(header, versions(unsupported), version=0))
            return True
        response = refusal(api, None, RefusedError(unsupported))
        if response is None or header.version > api.response.max_version:
            raise MalformedRequestError(f"{api.name} v{header.version} is not spoken")
        await self._send(frame_response(header, response))
        return True

    async def _send(self, parts: list[bytes]) -> None:
        size = sum(map(len, parts))
        counted = size if size > _SMALL else 0
        self._node.budget.owe(counted)
        try:
            self._writer.writelines(parts)
            await self._writer.drain()
        finally:
            self._node.budget.give(counted)


class Connections:
    """The connections open at a time, at most so many."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: dict[Connection, asyncio.Task[None]] = {}

    def protocol(self) -> asyncio.StreamReaderProtocol:
        """What asyncio attaches to a new connection."""
        return asyncio.StreamReaderProtocol(Reader(limit=_READ_BUFFER), self._accept)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a new connection in a task of its own, or turns it away."""
        if len(self._open) >= self._node.settings.max_connections:
            logger.warning("connection.rejected", reason="too many connections", open=len(self._open))
            writer.close()
            return
        connection = Connection(self._node, reader, writer)
        assert isinstance(reader, Reader)
        reader.on_end = connection.peer_gone
        task = self._open[connection] = asyncio.create_task(connection.serve())
        task.add_done_callback(lambda _: self._open.pop(connection))

    def cut(self, client_id: str | None = None) -> int:
        """Ends the connections, or those of one client id, at once; how many there were."""
        chosen = [each for each in self._open if client_id in (None, each.client_id)]
        for connection in chosen:
            connection.cut()
        return len(chosen)

    async def close(self) -> None:
        """Ends every connection and waits until their requests have been let go."""
        tasks = tuple(self._open.values())
        self.cut()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
