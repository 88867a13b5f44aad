"""Record batches, format 2: the only form in which records are stored, sent and received.

A batch stays opaque bytes on the way through. Its header is read to check it and to number it; the records inside are
looked at only for timestamps, keys and compaction.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from crc32c import crc32c

from stream.embedded.compression import UnreadableBatchError, compress, decompress
from stream.embedded.errors import ErrorCode, RefusedError

_HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES = _HEADER.size  # 61
_LENGTH_AT, _CRC_AT, _BODY_AT = 8, 17, 21
_CODEC, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20


class Header(NamedTuple):
    """A batch's header as it stands on the wire; `length` counts from byte 12."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch."""
        return self.length + 12

    @property
    def last_offset(self) -> int:
        """The offset of the batch's last record."""
        return self.base_offset + self.last_offset_delta


class Record(NamedTuple):
    """One record of a batch: a value of None is a tombstone; `raw` is the record as encoded, its length included."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    raw: bytes


def header_at(buffer: bytes | bytearray | memoryview, at: int = 0) -> Header:
    """The header that begins at `at`; `struct.error` where the buffer is too short for one."""
    return Header._make(_HEADER.unpack_from(buffer, at))


def crc_holds(view: memoryview, header: Header) -> bool:
    """Whether the checksum of the batch at the start of `view` fits its bytes."""
    return bool(crc32c(view[_BODY_AT : header.size]) == header.crc)


def check(produced: bytes) -> Header:
    """The header of the one batch that a produce request carries for a partition; `RefusedError` where it is not valid."""
    if len(produced) < HEADER_BYTES:
        raise RefusedError(ErrorCode.CORRUPT_MESSAGE, "a record batch is shorter than its header")
    header = header_at(produced)
    if header.magic != 2:
        raise RefusedError(ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, "only record batches of format 2 are taken")
    if header.length < HEADER_BYTES - 12 or header.size > len(produced):
        raise RefusedError(ErrorCode.CORRUPT_MESSAGE, "a record batch is cut short")
    if header.size < len(produced):
        raise RefusedError(ErrorCode.INVALID_RECORD, "more than one record batch for a partition")
    if not crc_holds(memoryview(produced), header):
        raise RefusedError(ErrorCode.CORRUPT_MESSAGE, "a record batch's checksum does not match")
    if header.records <= 0 or header.last_offset_delta != header.records - 1:
        raise RefusedError(ErrorCode.INVALID_RECORD, "a record batch's count does not match its offsets")
    if header.attributes & (_TRANSACTIONAL | _CONTROL):
        raise RefusedError(ErrorCode.INVALID_RECORD, "transactions are not offered by the embedded broker")
    return header


def number(buffer: bytearray, base_offset: int) -> None:
    """Stamps offset and leader epoch 0 into a batch; both stand before what the checksum covers."""
    struct.pack_into(">q", buffer, 0, base_offset)
    struct.pack_into(">i", buffer, 12, 0)


def stamp_append_time(buffer: bytearray, header: Header, now_ms: int) -> None:
    """Marks a batch as timed by the log, as `message.timestamp.type=LogAppendTime` asks."""
    struct.pack_into(">h", buffer, _BODY_AT, header.attributes | _LOG_APPEND_TIME)
    struct.pack_into(">q", buffer, 35, now_ms)
    struct.pack_into(">I", buffer, _CRC_AT, crc32c(memoryview(buffer)[_BODY_AT:]))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _write_varint(value: int) -> bytes:
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def records(batch: bytes) -> Iterator[Record]:
    """The records of one whole batch; `UnreadableBatchError`, `IndexError` where they cannot be read."""
    header = header_at(batch)
    payload = decompress(header.attributes & _CODEC, bytes(batch[HEADER_BYTES : header.size]))
    at = 0
    for _ in range(header.records):
        start = at
        length, at = _varint(payload, at)
        end = at + length
        delta_t, at = _varint(payload, at + 1)
        delta_o, at = _varint(payload, at)
        key_length, at = _varint(payload, at)
        key = None
        if key_length >= 0:
            key, at = payload[at : at + key_length], at + key_length
        value_length, at = _varint(payload, at)
        value = payload[at : at + value_length] if value_length >= 0 else None
        timestamp = header.max_timestamp if header.attributes & _LOG_APPEND_TIME else header.base_timestamp + delta_t
        yield Record(header.base_offset + delta_o, timestamp, key, value, payload[start:end])
        at = end


def keep(batch: bytes, kept: list[Record]) -> bytes:
    """The batch with only the `kept` of its records; offsets, timestamps and the producer's numbers stay."""
    header = header_at(batch)
    body = compress(header.attributes & _CODEC, b"".join(record.raw for record in kept))
    out = bytearray(batch[:HEADER_BYTES]) + body
    struct.pack_into(">i", out, _LENGTH_AT, len(out) - 12)
    struct.pack_into(">i", out, 57, len(kept))
    struct.pack_into(">I", out, _CRC_AT, crc32c(memoryview(out)[_BODY_AT:]))
    return bytes(out)


def build(entries: Iterable[tuple[bytes, bytes | None]], *, at_ms: int) -> bytes:
    """A batch of (key, value) records at one time; a value of None is a tombstone."""
    body, count = bytearray(), 0
    for key, value in entries:
        record = b"\0\0" + _write_varint(count) + _write_varint(len(key)) + key
        record += _write_varint(-1) if value is None else _write_varint(len(value)) + value
        record += b"\0"
        body += _write_varint(len(record)) + record
        count += 1
    out = bytearray(_HEADER.pack(0, HEADER_BYTES - 12 + len(body), 0, 2, 0, 0, count - 1, at_ms, at_ms, -1, -1, -1, count))
    out += body
    struct.pack_into(">I", out, _CRC_AT, crc32c(memoryview(out)[_BODY_AT:]))
    return bytes(out)


def check_keys(produced: bytes) -> None:
    """`RefusedError` if a record has no key, as a compacted topic needs one."""
    try:
        keyed = all(record.key is not None for record in records(produced))
    except UnreadableBatchError:
        return  # compaction leaves a batch alone that it cannot look into
    except IndexError:
        raise RefusedError(ErrorCode.CORRUPT_MESSAGE, "a record is cut short") from None
    if not keyed:
        raise RefusedError(ErrorCode.INVALID_RECORD, "a compacted topic takes no record without a key")
