"""What a replay reads: parts, each in its own order, that never depend on one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from schemas.codec import RawRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One partition: offsets [start, end) are read, of which those before `counted` only rebuild the state."""

    number: int
    start: int
    counted: int
    end: int

    @property
    def records(self) -> int:
        """An upper bound of how many records there are: offsets may have gaps."""
        return max(0, self.end - self.start)


class Source(Protocol):
    """A bounded stretch of history. It can be pickled, so that another process may read a part."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts."""
        ...

    def batches(self, part: Part, *, size: int, begin: int) -> Iterator[list[RawRecord]]:
        """The records of `part` from offset `begin` on, in order, in lists of 1 to `size`. Raises `StreamError`."""
        ...
