"""The four compressions of the protocol. Records pass through compressed; only lookups and compaction look inside."""

import gzip
import io
import struct
import zlib

import lz4.frame

try:
    import cramjam
except ImportError:  # snappy and zstd batches still pass through; they just cannot be looked into
    cramjam = None

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)

# Snappy as Java clients frame it: a magic, two versions, then blocks each with its length.
_XERIAL = b"\x82SNAPPY\x00"
_MAX_INFLATED = 256 << 20


class CodecUnavailable(Exception):
    """The batch is compressed with a codec that this installation lacks, or is not validly compressed."""


def decompress(codec: int, payload: bytes) -> bytes:
    """The payload as it was before compression; `CodecUnavailable` where it cannot be had."""
    try:
        if codec == NONE:
            return payload
        if codec == GZIP:
            inflater = zlib.decompressobj(wbits=31)
            inflated = inflater.decompress(payload, _MAX_INFLATED)
            if inflater.unconsumed_tail:
                raise CodecUnavailable("a batch inflates past 256 MiB")
            return inflated
        if codec == LZ4:
            with lz4.frame.open(io.BytesIO(payload)) as stream:
                inflated = stream.read(_MAX_INFLATED + 1)
            if len(inflated) > _MAX_INFLATED:
                raise CodecUnavailable("a batch inflates past 256 MiB")
            return bytes(inflated)
        if cramjam is None or codec not in (SNAPPY, ZSTD):
            raise CodecUnavailable(f"no decoder for compression {codec}: install cramjam")
        if codec == ZSTD:
            return bytes(cramjam.zstd.decompress(payload))
        return _snappy(payload)
    except CodecUnavailable:
        raise
    except Exception as error:  # each codec has errors of its own, and none of them is our caller's business
        raise CodecUnavailable(f"compression {codec}: {error}") from error


def _snappy(payload: bytes) -> bytes:
    if not payload.startswith(_XERIAL):
        return bytes(cramjam.snappy.decompress_raw(payload))
    at, blocks = 16, []
    while at < len(payload):
        (length,) = struct.unpack_from(">i", payload, at)
        blocks.append(bytes(cramjam.snappy.decompress_raw(payload[at + 4 : at + 4 + length])))
        at += 4 + length
    return b"".join(blocks)


def compress(codec: int, payload: bytes) -> bytes:
    """The payload compressed with a codec that `decompress` has just read."""
    if codec == NONE:
        return payload
    if codec == GZIP:
        return gzip.compress(payload, compresslevel=6, mtime=0)
    if codec == LZ4:
        return bytes(lz4.frame.compress(payload))
    if codec == ZSTD:
        return bytes(cramjam.zstd.compress(payload))
    return bytes(cramjam.snappy.compress_raw(payload))
