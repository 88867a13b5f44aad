"""The form in which an agent's state is stored: a header that says up to where the input was applied, then the value.

The header makes redelivery harmless (a record at or before it was applied already) and restoring exact (of two values
of a key the one that had applied more wins, whatever order a late writer put them in)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from schemas.codec import RawRecord

_HEADER = struct.Struct("<qq")
HEADER_BYTES = _HEADER.size


class Applied(NamedTuple):
    """How far the input was applied: the greatest record time seen (epoch ms), and the offset of the last record.

    The time comes first, so that values written after a topic was deleted and made anew count as later although its
    offsets start again at 0."""

    timestamp_ms: int
    offset: int

    def covers(self, raw: RawRecord) -> bool:
        """Whether `raw` was applied already."""
        return raw.at.offset <= self.offset and raw.timestamp_ms <= self.timestamp_ms

    def after(self, raw: RawRecord) -> Applied:
        """The same once `raw` is applied too."""
        return Applied(max(self.timestamp_ms, raw.timestamp_ms), raw.at.offset)


NOTHING = Applied(-1, -1)


def applied(stored: bytes) -> Applied:
    """The header of `stored`; of bytes that are too short, that nothing was applied."""
    return NOTHING if len(stored) < HEADER_BYTES else Applied(*_HEADER.unpack_from(stored))


def not_older(value: bytes, held: bytes) -> bool:
    """Whether `value` had applied as much as `held`, or more."""
    if len(value) >= HEADER_BYTES <= len(held):
        return _HEADER.unpack_from(value) >= _HEADER.unpack_from(held)
    return applied(value) >= applied(held)


def pack(header: Applied, value: bytes) -> bytes:
    """`value` behind `header`."""
    return _HEADER.pack(*header) + value
