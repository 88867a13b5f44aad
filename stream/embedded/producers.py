"""Idempotent producers: which sequence each has reached in one partition, and which batches are repeats."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from stream.embedded.batch import Header
from stream.embedded.errors import ErrorCode, RefusedError

_REMEMBERED = 5  # batches a producer may have in flight, by the protocol
_SEQUENCES = 1 << 31


@dataclass(slots=True)
class _Reached:
    epoch: int
    seen_ms: int
    recent: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    """(first sequence, last sequence, base offset) of the latest batches."""


class Producers:
    """The sequences of every idempotent producer of one partition."""

    def __init__(self) -> None:
        self._reached: dict[int, _Reached] = {}

    def duplicate(self, header: Header) -> int | None:
        """The offset that this very batch got earlier, or None if it is new; `RefusedError` where it is out of order."""
        if header.producer_id < 0:
            return None
        reached = self._reached.get(header.producer_id)
        if reached is None:
            return None
        if header.producer_epoch < reached.epoch:
            raise RefusedError(ErrorCode.INVALID_PRODUCER_EPOCH, "an older instance of this producer has been fenced")
        first = header.base_sequence
        if header.producer_epoch > reached.epoch:
            if first != 0:
                raise RefusedError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "a new epoch starts at sequence 0")
            return None
        last = (first + header.last_offset_delta) % _SEQUENCES
        for seen_first, seen_last, offset in reached.recent:
            if (seen_first, seen_last) == (first, last):
                return offset
        if reached.recent and first != (reached.recent[-1][1] + 1) % _SEQUENCES:
            raise RefusedError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, f"expected another sequence than {first}")
        return None

    def appended(self, header: Header, base_offset: int, *, at_ms: int) -> None:
        """Notes a batch now in the log; `at_ms` is the clock, for `expire`."""
        if header.producer_id < 0:
            return
        reached = self._reached.get(header.producer_id)
        if reached is None or reached.epoch != header.producer_epoch:
            reached = self._reached[header.producer_id] = _Reached(header.producer_epoch, at_ms)
        last = (header.base_sequence + header.last_offset_delta) % _SEQUENCES
        reached.recent.append((header.base_sequence, last, base_offset))
        reached.seen_ms = at_ms

    def expire(self, before_ms: int) -> None:
        """Forgets producers not heard of since `before_ms`."""
        for producer_id in [p for p, reached in self._reached.items() if reached.seen_ms < before_ms]:
            del self._reached[producer_id]

    def dump(self) -> list[Any]:
        """The state as JSON values, for `load`."""
        return [[p, r.epoch, r.seen_ms, [list(b) for b in r.recent]] for p, r in self._reached.items()]

    @classmethod
    def load(cls, dumped: list[Any]) -> "Producers":
        """The state that `dump` gave."""
        producers = cls()
        for producer_id, epoch, seen_ms, recent in dumped:
            reached = producers._reached[producer_id] = _Reached(epoch, seen_ms)
            reached.recent.extend((first, last, offset) for first, last, offset in recent)
        return producers
