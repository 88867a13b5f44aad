"""A terminal's (merchant's, payee's) past as a value: its transactions, and which of them became known as fraud when.

Both sides are histories with the same promises (see `history`): idempotent, bounded, indifferent to the order of arrival
within the bound. A reader looks at a terminal as it was at the last closed hour of event time before its transaction
(`closed_hour`), and leaves out what is later: so no answer depends on how fast this value travelled to the reader, as
long as it holds everything up to that hour."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from models.entry import NONE, Entry
from models.errors import HistoryError
from models.history import EMPTY, HOUR_MS, History

KEPT_HERE = 64
"""Transactions of a terminal that are kept exactly: the 5 weeks in which a compromise shows, at nearly two a day."""
NAN = float("nan")
_LENGTH = Struct("<H")


def oddity(ratio: float) -> int:
    """How odd an amount was for its card, as `Terminal.past.lands` keeps it: hundredths of the card's usual, plus 1; 0: not known."""
    return NONE if ratio != ratio else 1 + min(round(100 * ratio), 65_534)


def closed_hour(at_ms: int) -> int:
    """The last millisecond of the last hour that was over at `at_ms`: nothing later may be known of a terminal."""
    return at_ms // HOUR_MS * HOUR_MS - 1


class Terminal(NamedTuple):
    """`past` holds the transactions by event time; `frauds` the rulings that one was fraud, dated when each became known
    (its `amounts` hold the transactions' own times)."""

    past: History = EMPTY
    frauds: History = EMPTY

    def add(self, entry: Entry, *, usual_minor: float = NAN) -> Terminal:
        """This terminal with a transaction folded in, whose card's usual amount (median) is `usual_minor`, NaN if not known."""
        return self.visited(entry._replace(place=NONE, land=oddity(entry.amount_minor / max(usual_minor, 1.0))))

    def visited(self, entry: Entry) -> Terminal:
        """The same for an entry whose `land` is the oddity of its amount, and which names no place."""
        past = self.past.add(entry, kept=KEPT_HERE)
        return self if past is self.past else Terminal(past, self.frauds)

    def judge(self, *, tx: int, at_ms: int, known_ms: int, fraud: bool) -> Terminal:
        """This terminal knowing since `known_ms` that the transaction `tx` (an entry's id) of `at_ms` was fraud, or (`fraud=False`) not.

        A ruling is withdrawn as long as it is among the kept ones; the first ruling of fraud stands until then."""
        ids = self.frauds.ids
        if fraud:
            return Terminal(self.past, self.frauds.add(Entry(known_ms, tx, at_ms, NONE)))
        return Terminal(self.past, self.frauds.without(ids.index(tx))) if tx in ids else self

    def to_bytes(self) -> bytes:
        """The binary form: length of the first history u16, both histories; the second only if there were any frauds."""
        past = self.past.to_bytes()
        return _LENGTH.pack(len(past)) + past + (b"" if self.frauds == EMPTY else self.frauds.to_bytes())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Terminal:
        """The terminal that `to_bytes` wrote. Raises `HistoryError`."""
        if len(raw) < _LENGTH.size:
            raise HistoryError(f"a terminal cannot have {len(raw)} bytes")
        end = _LENGTH.size + _LENGTH.unpack_from(raw)[0]
        return cls(History.from_bytes(raw[_LENGTH.size : end]), History.from_bytes(raw[end:]) if len(raw) > end else EMPTY)
