"""What a subscription has handed out, what of that is done, and which ids it has seen: pure, for either client."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from schemas.codec import Malformed, Position, RawRecord, decode
from schemas.flag import Flag
from stream.subscribe.filters import Filter, Wanted
from stream.subscribe.held import Held, Ledger
from stream.subscribe.plan import OnPoison

_read: Callable[[Any], Flag] = Flag.__pydantic_validator__.validate_json
"""What `decode` does for a record that is a flag, without the wrapping: a fifth of the cost of a flag here."""


@dataclass(slots=True)
class Counts:
    """Records by what became of them; `again` counts flags handed out once more because their body did not return."""

    delivered: int = 0
    filtered: int = 0
    duplicates: int = 0
    poison: int = 0
    again: int = 0


class Window:
    """The last `size` ids that were added."""

    def __init__(self, size: int) -> None:
        self._size = size
        # Not a dict: finding its first key walks over all that were deleted before, 50 µs and more once the window is full.
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, id: str) -> bool:  # noqa: A002 (the field's name everywhere)
        return id in self._ids

    def add(self, id: str) -> None:  # noqa: A002
        """Remember `id` as the latest, and forget the oldest beyond the size."""
        if id in self._ids:
            self._ids.move_to_end(id)
        self._ids[id] = None
        if len(self._ids) > self._size:
            self._ids.popitem(last=False)


class Progress:
    """Hands out flags one by one. A flag is in hand from `take` until the next `take` (or `done`), and only then counts.

    Records are those of kafka-python or aiokafka: partition, offset, key, value, timestamp."""

    def __init__(self, topic: str, wanted: Wanted, *, window: int, on_poison: OnPoison) -> None:
        self.counts = Counts()
        self.next_offsets: dict[int, int] = {}
        """The offset of the first record that is not done, by partition."""
        self._topic = topic
        self._accepts = None if wanted == Filter() else wanted.accepts
        """None: every flag is wanted."""
        self._window = Window(window)
        self._on_poison = on_poison
        self._queue: deque[Any] = deque()
        self._in_hand: tuple[Any, Flag] | None = None
        self._uncommitted: dict[int, int] = {}
        self._ledgers: dict[int, Ledger] = {}
        self.on_done: Callable[[], object] = _nothing
        """Called when a held flag is done."""

    @property
    def empty(self) -> bool:
        """Whether more records must be fetched."""
        return not self._queue

    @property
    def holding(self) -> bool:
        """Whether a flag's body has not returned yet."""
        return self._in_hand is not None

    @property
    def open(self) -> int:
        """Held flags that are not done."""
        return sum(ledger.open for ledger in self._ledgers.values())

    @property
    def span(self) -> int:
        """Records that would come again if the process died now, over all partitions, where flags are held."""
        return sum(ledger.span for ledger in self._ledgers.values())

    @property
    def reached(self) -> int:
        """Those of `span` that a commit would spare."""
        return sum(ledger.due for ledger in self._ledgers.values())

    def at_end(self, ends: Mapping[int, int | None]) -> bool:
        """Whether everything before `ends` (by partition; None: not told yet) was handed out and done."""
        return all(end is not None and self.next_offsets.get(partition, end) >= end for partition, end in ends.items())

    def put(self, records: Iterable[Any]) -> None:
        """Queue fetched records, in order for each partition."""
        before = len(self._queue)
        self._queue.extend(records)
        known = self.next_offsets
        for record in islice(self._queue, before, None):
            if record.partition not in known:
                known[record.partition] = record.offset

    def take(self) -> Flag | None:
        """The next wanted flag; None when more must be fetched. The one in hand is done by that."""
        if self._in_hand is not None:
            self.done()
        found = self._in_hand = self._next()
        return None if found is None else found[1]

    def hold(self) -> Held | None:
        """The next wanted flag, which is done when it says so; None when more must be fetched."""
        found = self._next()
        if found is None:
            return None
        record, flag = found
        ledger = self._ledgers.get(record.partition)
        if ledger is None:
            ledger = self._ledgers[record.partition] = Ledger(record.offset)
        ledger.begin(record.offset)
        at = Position(self._topic, record.partition, record.offset)
        return Held(flag, RawRecord(at, record.key, record.value, record.timestamp, tuple(record.headers)), ledger, self._finish)

    def _next(self) -> tuple[Any, Flag] | None:
        queue, accepts = self._queue, self._accepts
        while queue:
            record = queue[0]
            try:
                flag = _read(record.value)
            except (ValueError, TypeError, RecursionError):
                # Before it leaves the queue: where the callback raises, it comes again.
                self._poison(record)
            else:
                if flag.id in self._window:
                    self.counts.duplicates += 1
                elif accepts is not None and not accepts(flag):
                    self.counts.filtered += 1
                else:
                    queue.popleft()
                    self.counts.delivered += 1
                    return record, flag
            queue.popleft()
            self._reached(record)
        return None

    def _finish(self, held: Held) -> None:
        self._window.add(held.flag.id)
        at = held.raw.at
        # A ledger that is not ours any more belongs to partitions that were given away.
        if self._ledgers.get(at.partition) is held.ledger:
            self._reach(at.partition, held.ledger.finish(at.offset))
        self.on_done()

    def _poison(self, record: Any) -> None:  # noqa: ANN401 (of either client)
        at = Position(self._topic, record.partition, record.offset)
        found = decode(Flag, RawRecord(at, record.key, record.value, record.timestamp))
        if isinstance(found, Malformed):
            self._on_poison(found)
        self.counts.poison += 1

    def done(self) -> None:
        """The body of the flag in hand has returned."""
        if self._in_hand is not None:
            record, flag = self._in_hand
            self._in_hand = None
            self._window.add(flag.id)
            if record is None:
                return
            if self._ledgers:
                self._reached(record)
            else:
                partition = record.partition
                self.next_offsets[partition] = self._uncommitted[partition] = record.offset + 1

    def again(self) -> None:
        """A new loop begins: the flag in hand, whose body did not return, comes once more."""
        if self._in_hand is not None:
            record = self._in_hand[0]
            self._in_hand = None
            if record is not None:
                self._queue.appendleft(record)
                self.counts.again += 1

    def begin(self, offsets: dict[int, int]) -> None:
        """Start over at `offsets`, which count as reached."""
        self.drop()
        self.next_offsets.update(offsets)
        self._uncommitted.update(offsets)

    def drop(self) -> None:
        """Forget everything fetched: it comes again, here or elsewhere."""
        self.keep(())

    def keep(self, partitions: Collection[int]) -> None:
        """Forget what was fetched of other partitions: they belong to others now. A flag of theirs that is in hand no longer
        moves an offset."""
        self._queue = deque(record for record in self._queue if record.partition in partitions)
        self._uncommitted = {partition: offset for partition, offset in self._uncommitted.items() if partition in partitions}
        self.next_offsets = {partition: offset for partition, offset in self.next_offsets.items() if partition in partitions}
        self._ledgers = {partition: ledger for partition, ledger in self._ledgers.items() if partition in partitions}
        if self._in_hand is not None and self._in_hand[0] is not None and self._in_hand[0].partition not in partitions:
            self._in_hand = None, self._in_hand[1]

    def due(self) -> dict[int, int]:
        """Offsets by partition that are reached and not committed."""
        return dict(self._uncommitted)

    def committed(self, offsets: dict[int, int]) -> None:
        """`offsets` are committed; what was reached since stays due."""
        for partition, offset in offsets.items():
            if partition in self._ledgers:
                self._ledgers[partition].committed(offset)
            if self._uncommitted.get(partition) == offset:
                del self._uncommitted[partition]

    def _reached(self, record: Any) -> None:  # noqa: ANN401 (of either client)
        ledger = self._ledgers.get(record.partition) if self._ledgers else None
        self._reach(record.partition, record.offset + 1 if ledger is None else ledger.skip(record.offset))

    def _reach(self, partition: int, offset: int | None) -> None:
        if offset is not None:
            self.next_offsets[partition] = self._uncommitted[partition] = offset


def _nothing() -> None:
    return
