"""The binary form of a card's history, version 1: little-endian, columns in sequence, a CRC-32 at the end.

```
head     version u8 · flags u8 · kept u8 · hours u8 · days u8 · frauds u8 · home u16 · past_count u32
         first_ms i64 · newest_ms i64 · past_sum u64 · past_squares u128
kept     newest - time u32|u64 · id u64 · amount u32|u64 · currency u16 (one, if all are equal) · place u32? · land u16?
hours    (index u32 · count u16|u32 · sum u32|u64) each; days alike
frauds   (known_ms i64 · at_ms i64 · id u64) each
tail     CRC-32 of everything before, u32
```
Flags choose the widths, and leave out what no transaction says.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from itertools import chain
from struct import Struct, error
from typing import TYPE_CHECKING

from models.errors import HistoryError

if TYPE_CHECKING:
    from models.history import History

VERSION = 1
MAX_BYTES = 2_400
"""No history is longer (asserted in the tests for the widest values)."""

_HEAD = Struct("<6BHIqqQ16s")
_TAIL = Struct("<I")
_WIDE_TIMES, _WIDE_AMOUNTS, _MANY_CURRENCIES, _PLACES, _LANDS, _WIDE_COUNTS, _WIDE_SUMS = (1 << bit for bit in range(7))
_FLAGS = (1 << 7) - 1

Ints = tuple[int, ...]


def pack(history: History) -> bytes:
    """`history` in binary form."""
    try:
        return _packed(history, 0)
    except error:
        # A number did not fit: find out which kind. Rare, so that the usual case need not look.
        times, amounts = history.times, history.amounts
        buckets = history.hours + history.days
        wide = _WIDE_TIMES if times and times[-1] - times[0] >= 2**32 else 0
        wide |= _WIDE_AMOUNTS if amounts and max(amounts) >= 2**32 else 0
        wide |= _WIDE_COUNTS if buckets and max(buckets[1::3]) >= 2**16 else 0
        wide |= _WIDE_SUMS if buckets and max(buckets[2::3]) >= 2**32 else 0
        return _packed(history, wide)


def _packed(history: History, flags: int) -> bytes:
    """The binary form with the widths of `flags`. Raises `struct.error` where a number does not fit."""
    times, ids, amounts, currencies, places, lands, hours, days, frauds, first, home, count, total, squares = history
    size = len(times)
    newest = times[-1] if size else 0
    if size and currencies.count(currencies[0]) == size:
        currencies = currencies[:1]
    else:
        flags |= _MANY_CURRENCIES if size else 0
    if any(places):
        flags |= _PLACES
    else:
        places = ()
    if any(lands):
        flags |= _LANDS
    else:
        lands = ()
    shape = size, len(hours) // 3, len(days) // 3, len(frauds)
    head = _HEAD.pack(VERSION, flags, *shape, home, count, first, newest, total, squares.to_bytes(16, "little"))
    ages = [newest - at for at in times]
    known = chain.from_iterable(frauds)
    body = head + _body(flags, *shape).pack(*ages, *ids, *amounts, *currencies, *places, *lands, *hours, *days, *known)
    return body + _TAIL.pack(zlib.crc32(body))


def unpack(raw: bytes) -> tuple[list[Ints], Ints, Ints, tuple[Ints, ...], tuple[int, int, int, int, int]]:
    """The six columns, hours, days, frauds, and (first_ms, home, past_count, past_sum, past_squares) of a packed history.

    Raises `HistoryError`."""
    if len(raw) < _HEAD.size + _TAIL.size:
        raise HistoryError(f"a history cannot have {len(raw)} bytes")
    version, flags, size, n_hours, n_days, n_frauds, home, count, first, newest, total, squares = _HEAD.unpack_from(raw)
    if version != VERSION:
        raise HistoryError(f"history of version {version}; this program reads version {VERSION}")
    body = _body(flags & _FLAGS, size, n_hours, n_days, n_frauds)
    if len(raw) != _HEAD.size + body.size + _TAIL.size:
        raise HistoryError(f"history cut short or too long: {len(raw)} bytes, {_HEAD.size + body.size + _TAIL.size} expected")
    if zlib.crc32(raw[: -_TAIL.size]) != _TAIL.unpack_from(raw, len(raw) - _TAIL.size)[0]:
        raise HistoryError("history damaged: its checksum does not fit")
    values = body.unpack_from(raw, _HEAD.size)
    zeros = (0,) * size
    start = 3 * size
    columns = [tuple([newest - age for age in values[:size]]), values[size : 2 * size], values[2 * size : start]]
    if flags & _MANY_CURRENCIES:
        columns.append(values[start : start + size])
        start += size
    elif size:
        columns.append(values[start : start + 1] * size)
        start += 1
    else:
        columns.append(())
    for flag in (_PLACES, _LANDS):
        if flags & flag:
            columns.append(values[start : start + size])
            start += size
        else:
            columns.append(zeros)
    days = start + 3 * n_hours
    end = days + 3 * n_days
    frauds = tuple(zip(values[end::3], values[end + 1 :: 3], values[end + 2 :: 3], strict=True))
    return columns, values[start:days], values[days:end], frauds, (first, home, count, total, int.from_bytes(squares, "little"))


@lru_cache(maxsize=4096)
def _body(flags: int, size: int, n_hours: int, n_days: int, n_frauds: int) -> Struct:
    """The layout between head and tail."""
    bucket = ("II" if flags & _WIDE_COUNTS else "IH") + ("Q" if flags & _WIDE_SUMS else "I")
    layout = f"<{size}{'Q' if flags & _WIDE_TIMES else 'I'}{size}Q{size}{'Q' if flags & _WIDE_AMOUNTS else 'I'}"
    layout += f"{size if flags & _MANY_CURRENCIES else min(size, 1)}H"
    layout += f"{size if flags & _PLACES else 0}I{size if flags & _LANDS else 0}H"
    return Struct(layout + bucket * (n_hours + n_days) + "qqQ" * n_frauds)
