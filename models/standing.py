"""What is known of a terminal (merchant, payee), hour by hour: its past up to a closed hour, and the news that wait for theirs.

A transaction sees its terminal as it was at the last closed hour of event time, and news of one hour are folded together when
that hour closes. So an answer depends on what was known at the hour's end, and neither on how fast news travelled
nor on the order in which they came."""

from __future__ import annotations

from struct import Struct, error
from typing import NamedTuple

from models.entry import NONE, Entry
from models.errors import HistoryError
from models.terminal import Terminal

MAX_WAITING = 256
"""News that a terminal keeps apart; in an hour with more the earliest are folded before it closes."""
VISIT, FRAUD, CLEARED = range(3)
_NEWS = Struct("<qBqQQHH")
_COUNT = Struct("<H")


class News(NamedTuple):
    """A transaction at the terminal (`VISIT`), or a ruling on one (`FRAUD`, `CLEARED`), that counts from `effective_ms` on.

    `at_ms` and `id` are the transaction's; `value` is its amount in minor units, of a ruling when it became known (epoch ms);
    `currency` and `odd` (see `terminal.oddity`) are a visit's."""

    effective_ms: int
    kind: int
    at_ms: int
    id: int
    value: int
    currency: int = NONE
    odd: int = NONE


class Standing(NamedTuple):
    """A terminal with everything folded in that a closed hour holds, and the rest waiting."""

    terminal: Terminal = Terminal()
    waiting: tuple[News, ...] = ()

    def hear(self, news: News, *, closed_ms: int) -> Standing:
        """This standing with `news` waiting, and what took effect up to `closed_ms` folded in. News heard before change nothing."""
        here = self.folded(closed_ms)
        if news in here.waiting:
            return here
        waiting = tuple(sorted((*here.waiting, news)))
        if len(waiting) > MAX_WAITING:
            return Standing(_fold(here.terminal, waiting[:1]), waiting[1:])
        return Standing(here.terminal, waiting)

    def folded(self, closed_ms: int) -> Standing:
        """This standing with what took effect up to `closed_ms` folded in: a reader of an earlier hour is no longer served."""
        due = self._due(closed_ms)
        return Standing(_fold(self.terminal, self.waiting[:due]), self.waiting[due:]) if due else self

    def at(self, closed_ms: int) -> Terminal:
        """The terminal as of an hour that closed at `closed_ms`."""
        due = self._due(closed_ms)
        return _fold(self.terminal, self.waiting[:due]) if due else self.terminal

    def _due(self, closed_ms: int) -> int:
        waiting, due = self.waiting, 0
        while due < len(waiting) and waiting[due].effective_ms <= closed_ms:
            due += 1
        return due

    def to_bytes(self) -> bytes:
        """The binary form: how much waits u16, each of it, the terminal."""
        waiting = b"".join([_NEWS.pack(*news) for news in self.waiting])
        return _COUNT.pack(len(self.waiting)) + waiting + self.terminal.to_bytes()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Standing:
        """The standing that `to_bytes` wrote. Raises `HistoryError`."""
        try:
            count = _COUNT.unpack_from(raw)[0]
            end = _COUNT.size + count * _NEWS.size
            waiting = tuple([News(*_NEWS.unpack_from(raw, at)) for at in range(_COUNT.size, end, _NEWS.size)])
        except error as fault:
            raise HistoryError(f"a terminal cannot have {len(raw)} bytes") from fault
        return cls(Terminal.from_bytes(raw[end:]), waiting)


UNSEEN = Standing()
"""Of a terminal that nothing was heard of."""


def _fold(terminal: Terminal, news: tuple[News, ...]) -> Terminal:
    for _, kind, at_ms, tx, value, currency, odd in news:
        if kind == VISIT:
            terminal = terminal.visited(Entry(at_ms, tx, value, currency, NONE, odd))
        else:
            terminal = terminal.judge(tx=tx, at_ms=at_ms, known_ms=value, fraud=kind == FRAUD)
    return terminal
