"""Frames of the protocol: request headers, bodies through kafka-python's message classes, framed responses.

Response classes are built without a version and encoded at the version of the request, which leaves out what that
version does not know.
"""

import struct
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from stream.embedded.errors import MalformedRequestError

Message: TypeAlias = Any
"""A request or response of kafka-python; its classes are made at import and have no types."""

NODE_ID = 1
API_VERSIONS_KEY = 18
_HEADER = struct.Struct(">hhih")


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestHeader:
    """What stands before every request's body; `body_at` is where the body begins."""

    key: int
    version: int
    correlation_id: int
    client_id: str
    body_at: int


def read_header(frame: bytes) -> RequestHeader:
    """The header of a frame, up to the part that only some versions have; `MalformedRequestError` where it is none."""
    try:
        key, version, correlation_id, length = _HEADER.unpack_from(frame)
        at = _HEADER.size
        client_id = frame[at : at + max(length, 0)].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedRequestError(f"header: {error}") from error
    at += max(length, 0)
    if at > len(frame) or version < 0:
        raise MalformedRequestError("header is cut short")
    return RequestHeader(key=key, version=version, correlation_id=correlation_id, client_id=client_id, body_at=at)


def read_body(frame: bytes, header: RequestHeader, message: Message) -> Message:
    """The request's body; `MalformedRequestError` where the bytes are none of this message at this version."""
    view, at = memoryview(frame), header.body_at
    flexible = message.flexible_version_q(header.version)
    try:
        if flexible:
            at = _skip_tags(frame, at)
        decode = message._struct.compiled_decode_from(header.version, compact=flexible, tagged=flexible, data_class=message)
        body, end = decode(view, at)
    except MalformedRequestError:
        raise
    except Exception as error:  # the decoder runs over bytes from outside: any failure means that they are wrong
        raise MalformedRequestError(f"{message.__name__} v{header.version}: {type(error).__name__}") from error
    if end > len(frame):
        raise MalformedRequestError(f"{message.__name__} v{header.version} is cut short")
    _refuse_nulls(body, _request_parts(message, header.version))
    return body


_Parts: TypeAlias = tuple[tuple[str, bool, "_Parts | None"], ...]


@cache
def _request_parts(message: Message, version: int) -> _Parts:
    return _nullable_parts(message._struct, version)


def _nullable_parts(struct_field: Message, version: int) -> _Parts:
    """Fields of a message that can be null on the wire: name, whether they may be, and the same of their elements."""
    parts = []
    for field in struct_field.untagged_fields(version):
        if field.is_array() or field.type_str in ("string", "bytes"):
            nested = _nullable_parts(field.array_of, version) if field.is_struct_array() else None
            parts.append((field.name, field.nullable_for_version_q(version), nested))
    return tuple(parts)


def _refuse_nulls(body: Message, parts: _Parts) -> None:
    for name, may_be_null, nested in parts:
        value = getattr(body, name)
        if value is None:
            if not may_be_null:
                raise MalformedRequestError(f"{name} is null")
        elif nested is not None:
            for element in value:
                _refuse_nulls(element, nested)
        elif isinstance(value, list) and None in value:
            raise MalformedRequestError(f"{name} holds a null")


def _skip_tags(frame: bytes, at: int) -> int:
    count, at = _unsigned(frame, at)
    for _ in range(count):
        _, at = _unsigned(frame, at)
        length, at = _unsigned(frame, at)
        at += length
        if at > len(frame):
            raise MalformedRequestError("header's tags are cut short")
    return at


def _unsigned(frame: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(frame) or shift > 28:
            raise MalformedRequestError("a varint is cut short")
        byte = frame[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


@dataclass(frozen=True, slots=True)
class Encoded:
    """A response's body that is already bytes, in parts that need not be joined."""

    parts: list[bytes]


def frame_response(header: RequestHeader, response: Message, *, version: int | None = None) -> list[bytes]:
    """The framed response, in parts; `version` where it differs from the request's."""
    if isinstance(response, Encoded):
        parts = response.parts
        size = 4 + sum(map(len, parts))
        return [struct.pack(">ii", size, header.correlation_id), *parts]
    version = header.version if version is None else version
    body = response.encode(version=version)
    # The answer to ApiVersions keeps the old header, since a client does not know yet what the broker speaks.
    tagged = response.flexible_version_q(version) and header.key != API_VERSIONS_KEY
    tags = b"\0" if tagged else b""
    return [struct.pack(">ii", 4 + len(tags) + len(body), header.correlation_id) + tags, body]


def _string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">h", len(encoded)) + encoded


@dataclass(slots=True)
class Fetched:
    """One partition's part of a fetch response."""

    partition: int
    error: int
    end: int = -1
    start: int = -1
    records: bytes = b""


def encode_fetch(version: int, error: int, topics: list[tuple[str, list[Fetched]]]) -> Encoded:
    """A Fetch response of version 4 to 11, with the records' bytes left where they are."""
    parts: list[bytes] = []
    head = struct.pack(">i", 0) + (struct.pack(">hi", error, 0) if version >= 7 else b"")
    pending = head + struct.pack(">i", len(topics))
    for name, partitions in topics:
        pending += _string(name) + struct.pack(">i", len(partitions))
        for each in partitions:
            pending += struct.pack(">ihqq", each.partition, each.error, each.end, each.end)
            if version >= 5:
                pending += struct.pack(">q", each.start)
            pending += struct.pack(">i", 0)
            if version >= 11:
                pending += struct.pack(">i", -1)
            pending += struct.pack(">i", len(each.records))
            if each.records:
                parts += [pending, each.records]
                pending = b""
    parts.append(pending)
    return Encoded(parts)
