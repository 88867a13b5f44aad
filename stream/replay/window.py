"""Where a replay begins and ends: words of the command line to times and offsets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from stream.errors import UsageError

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_OFFSETS = re.compile(r"\d+:\d+(,\d+:\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A place in a topic's history: a time (epoch ms), or an offset of every partition, or one for each that is named."""

    at_ms: int | None = None
    offset: int | None = None
    offsets: tuple[tuple[int, int], ...] = ()

    def offset_in(self, partition: int) -> int | None:
        """The offset in `partition`; None where it is a time, or where the partition is not named."""
        return dict(self.offsets).get(partition, self.offset)


def bound(text: str | None, *, name: str, now: datetime) -> Bound | None:
    """The bound that `text` names: `2026-01-31`, `2026-01-31T12:00Z`, `90m` or `7d` (ago), `1200` (offset of every
    partition) or `0:1200,1:800`. Raises `UsageError` naming the option `name`."""
    if text is None:
        return None
    word = text.strip()
    if word.isascii() and word.isdigit():
        return Bound(offset=int(word))
    if _OFFSETS.fullmatch(word):
        pairs = (pair.split(":") for pair in word.split(","))
        return Bound(offsets=tuple((int(partition), int(offset)) for partition, offset in pairs))
    ago = _SPAN.fullmatch(word)
    if ago:
        return Bound(at_ms=_epoch_ms(now) - _milliseconds(ago))
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise UsageError(
            f"{name} {text!r}: neither a time (2026-01-31, 2026-01-31T12:00Z, 7d) nor offsets (1200, or 0:1200,1:800)"
        ) from None
    return Bound(at_ms=_epoch_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))


def check_order(since: Bound | None, until: Bound | None, *, names: tuple[str, str] = ("--since", "--until")) -> None:
    """Raises `UsageError` where nothing can lie between the two: both are times, or offsets of every partition, and the end comes first."""
    if since is None or until is None:
        return
    for first, last in ((since.at_ms, until.at_ms), (since.offset, until.offset)):
        if first is not None and last is not None and first >= last:
            raise UsageError(f"{names[1]} is not after {names[0]}: nothing lies between them")


def span_ms(text: str, *, name: str) -> int:
    """The length of time `text` (`90m`, `7d`) in milliseconds. Raises `UsageError` naming the option `name`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None and text.strip() != "0":
        raise UsageError(f"{name} {text!r}: not a length of time such as 90m, 12h or 30d")
    return 0 if found is None else _milliseconds(found)


def _milliseconds(found: re.Match[str]) -> int:
    return int(float(found[1]) * _UNIT_MS[found[2]])


def _epoch_ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
