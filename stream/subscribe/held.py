"""Flags that are worked on side by side: each is done by itself, and only what has nothing open before it counts as reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from schemas.codec import RawRecord
from schemas.flag import Flag


class Ledger:
    """A partition's offsets from `first`, which is to be handed out. `open` are handed out and not done."""

    def __init__(self, first: int) -> None:
        self.open = 0
        self._committed = self._reached = first
        self._order: deque[int] = deque()
        self._done: set[int] = set()

    @property
    def span(self) -> int:
        """All that would come again if the process died now."""
        return len(self._order) + self.due

    @property
    def due(self) -> int:
        """Offsets that are reached and not committed."""
        return self._reached - self._committed

    def begin(self, offset: int) -> None:
        """`offset`, above all before it, is handed out."""
        self._order.append(offset)
        self.open += 1

    def skip(self, offset: int) -> int | None:
        """`offset` was not handed out: nobody wants it. The offset reached by that, if it moved."""
        self.open += 1
        self._order.append(offset)
        return self.finish(offset)

    def finish(self, offset: int) -> int | None:
        """`offset` is done. The offset reached by that (the first that is not done), if it moved."""
        self.open -= 1
        self._done.add(offset)
        reached = None
        while self._order and self._order[0] in self._done:
            first = self._order.popleft()
            self._done.remove(first)
            reached = self._reached = first + 1
        return reached

    def committed(self, offset: int) -> None:
        """The broker has it that all before `offset` is done."""
        self._committed = offset


class Held:
    """A flag, the record that it came in, and the word that it is done: before `done()`, it is not committed past."""

    __slots__ = ("_finish", "flag", "ledger", "raw")

    def __init__(self, flag: Flag, raw: RawRecord, ledger: Ledger, finish: Callable[[Held], None]) -> None:
        self.flag = flag
        self.raw = raw
        self.ledger = ledger
        self._finish: Callable[[Held], None] | None = finish

    def done(self) -> None:
        """The flag is done with. Saying it again, or after its partition went to another member, does nothing."""
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(self)
