"""The four compressions of the protocol. Records pass through compressed; only lookups and compaction look inside."""

import gzip
import io
import struct
import zlib

import cramjam
import lz4.frame
import zstandard

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)

# Snappy as Java clients frame it: a magic, two versions, then blocks each with its length.
_XERIAL = b"\x82SNAPPY\x00"
_MAX_INFLATED = 128 << 20


class UnreadableBatchError(Exception):
    """What a batch holds is not validly compressed, or inflates past 128 MiB."""


def decompress(codec: int, payload: bytes) -> bytes:
    """The payload as it was before compression; `UnreadableBatchError` where it cannot be had."""
    if codec == NONE:
        return payload
    try:
        inflated = _inflate(codec, payload)
    except Exception as error:  # each codec has errors of its own for bytes that came from outside
        raise UnreadableBatchError(f"compression {codec}: {error}") from error
    if len(inflated) > _MAX_INFLATED:
        raise UnreadableBatchError(f"compression {codec}: inflates past {_MAX_INFLATED} bytes")
    return inflated


def _inflate(codec: int, payload: bytes) -> bytes:
    if codec == GZIP:
        return zlib.decompressobj(wbits=31).decompress(payload, _MAX_INFLATED + 1)
    if codec == LZ4:
        with lz4.frame.open(io.BytesIO(payload)) as stream:
            return bytes(stream.read(_MAX_INFLATED + 1))
    if codec == ZSTD:
        with zstandard.ZstdDecompressor().stream_reader(payload) as reader:
            return reader.read(_MAX_INFLATED + 1)
    if codec != SNAPPY:
        raise ValueError("no such compression")
    if not payload.startswith(_XERIAL):
        return _inflate_snappy(payload)
    at, blocks = 16, []
    while at < len(payload):
        (length,) = struct.unpack_from(">i", payload, at)
        blocks.append(_inflate_snappy(payload[at + 4 : at + 4 + length]))
        at += 4 + max(length, 0)
    return b"".join(blocks)


def _inflate_snappy(block: bytes) -> bytes:
    if cramjam.snappy.decompress_raw_len(block) > _MAX_INFLATED:
        raise ValueError("a block inflates too far")
    return bytes(cramjam.snappy.decompress_raw(block))


def compress(codec: int, payload: bytes) -> bytes:
    """The payload compressed with a codec that `decompress` has just read."""
    if codec == GZIP:
        return gzip.compress(payload, compresslevel=6, mtime=0)
    if codec == LZ4:
        return bytes(lz4.frame.compress(payload))
    if codec == ZSTD:
        return zstandard.ZstdCompressor().compress(payload)
    if codec == SNAPPY:
        return bytes(cramjam.snappy.compress_raw(payload))
    return payload
