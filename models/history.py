"""A card's (or account's) past as a value: a pure fold of its transactions in event time.

What holds:
- The newest `KEPT` transactions are kept exactly; older ones are summed up by the hour, then by the day, for 40 days.
- Idempotent: a transaction whose id is among the kept ones changes nothing.
- Late and out-of-order records: the result does not depend on the order of arrival as long as fewer than `KEPT` later
  transactions of the same card came before a record. A record later than that is left out.
- No clock and no horizon that a single record could move: a timestamp in the far future takes one of the `KEPT` places
  and nothing else, and windows that end before it do not see it. Whoever feeds a history should refuse records dated
  well past their own append time, since `KEPT` of them would fill it.
- Bounded: at most `MAX_BYTES` in binary form; a card of two transactions a day takes about 1,200.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from models.entry import NONE, Entry
from models.history_form import pack, unpack

KEPT = 32
"""Transactions that a history keeps exactly."""
HOUR_BUCKETS = 26
DAY_BUCKETS = 40
KEPT_FRAUDS = 8
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

MIXED = 0xFFFF
"""`home` of a history whose summed-up part holds more than one currency: its sums say nothing."""
_MAX_SUM = 2**64 - 1
_MAX_SQUARES = 2**128 - 1



Buckets = tuple[int, ...]
"""Transactions by hour or day, oldest first, flat for speed: (index since 1970, count, sum in the home currency) each."""


class KnownFraud(NamedTuple):
    """A transaction of this card that turned out to be fraud: when that became known, when it happened, its id."""

    known_ms: int
    at_ms: int
    id: int


class History(NamedTuple):
    """The past of one card or account; every column is in ascending order of (time, id)."""

    times: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()
    amounts: tuple[int, ...] = ()
    currencies: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    lands: tuple[int, ...] = ()
    hours: Buckets = ()
    days: Buckets = ()
    frauds: tuple[KnownFraud, ...] = ()
    first_ms: int = 0
    """Time of the earliest transaction ever folded in; 0 before the first."""
    home: int = NONE
    """Currency of the summed-up part: NONE while there is none, MIXED if there were several."""
    past_count: int = 0
    past_sum: int = 0
    past_squares: int = 0
    """Count, sum and sum of squares of all transactions that are no longer kept: the running mean and variance."""

    def add(self, entry: Entry, *, kept: int = KEPT) -> History:
        """This history with `entry` folded in; the same history if it is known already or too late.

        `kept`, up to 255, must be the same throughout a history's life."""
        at, key = entry.at_ms, entry.id
        times, ids = self.times, self.ids
        if key in ids:
            return self
        size = len(times)
        if not size or at > times[-1]:
            place = size
        else:
            place = bisect_left(times, at)
            while place < size and times[place] == at and ids[place] < key:
                place += 1
        first = at if not (size and self.first_ms < at) else self.first_ms
        if size < kept:
            return History(
                _insert(times, place, at), _insert(ids, place, key), _insert(self.amounts, place, entry.amount_minor),
                _insert(self.currencies, place, entry.currency), _insert(self.places, place, entry.place),
                _insert(self.lands, place, entry.land), self.hours, self.days, self.frauds, first,
                self.home, self.past_count, self.past_sum, self.past_squares,
            )
        if place == 0:
            return self
        hours, days, home, count, total, squares = self._evicted()
        place -= 1
        return History(
            _insert(times[1:], place, at), _insert(ids[1:], place, key),
            _insert(self.amounts[1:], place, entry.amount_minor), _insert(self.currencies[1:], place, entry.currency),
            _insert(self.places[1:], place, entry.place), _insert(self.lands[1:], place, entry.land),
            hours, days, self.frauds, first, home, count, total, squares,
        )

    def without(self, place: int) -> History:
        """This history less the kept transaction in `place`: what a transaction that is in it already may see."""
        after = place + 1
        return self._replace(
            times=self.times[:place] + self.times[after:], ids=self.ids[:place] + self.ids[after:],
            amounts=self.amounts[:place] + self.amounts[after:], currencies=self.currencies[:place] + self.currencies[after:],
            places=self.places[:place] + self.places[after:], lands=self.lands[:place] + self.lands[after:],
        )

    def judge(self, ruling: KnownFraud, *, fraud: bool) -> History:
        """This history knowing that a transaction was fraud, or (`fraud=False`, an earlier ruling withdrawn) was not.

        The `KEPT_FRAUDS` latest known are kept. Idempotent by the transaction's id: the earliest knowledge stays."""
        for known in self.frauds:
            if known.id == ruling.id and fraud and known <= ruling:
                return self
        others = [known for known in self.frauds if known.id != ruling.id]
        frauds = tuple(sorted([*others, ruling] if fraud else others)[-KEPT_FRAUDS:])
        return self._replace(frauds=frauds)

    def to_bytes(self) -> bytes:
        """The binary form, the same for equal histories."""
        return pack(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> History:
        """The history that `to_bytes` wrote. Raises `HistoryError` for other versions and for damaged bytes."""
        columns, hours, days, frauds, numbers = unpack(raw)
        times, ids, amounts, currencies, places, lands = columns
        known = tuple(map(KnownFraud._make, frauds)) if frauds else ()
        return cls(times, ids, amounts, currencies, places, lands, hours, days, known, *numbers)

    def _evicted(self) -> tuple[Buckets, Buckets, int, int, int, int]:
        """Buckets, home and running sums with the oldest kept transaction moved into them.

        Transactions leave in ascending order of time whatever the order of arrival, so the last bucket is the newest."""
        at, amount, currency = self.times[0], self.amounts[0], self.currencies[0]
        hours, days = _count(self.hours, at // HOUR_MS, 1, amount), self.days
        if len(hours) > 3 * HOUR_BUCKETS:
            days = _count(days, hours[0] // 24, hours[1], hours[2])
            hours = hours[3:]
            # Nothing asks further back than 30 days and the delay of rulings before the oldest kept transaction.
            since = at // DAY_MS - DAY_BUCKETS + 1
            while days and days[0] < since:
                days = days[3:]
        home = currency if self.home in (NONE, currency) else MIXED
        return (
            hours, days, home, min(self.past_count + 1, 0xFFFFFFFF),
            min(self.past_sum + amount, _MAX_SUM), min(self.past_squares + amount * amount, _MAX_SQUARES),
        )


EMPTY = History()
"""The history of a card never seen."""


def _insert(column: tuple[int, ...], place: int, value: int) -> tuple[int, ...]:
    return (*column, value) if place == len(column) else (*column[:place], value, *column[place:])


def _count(buckets: Buckets, index: int, count: int, sum_minor: int) -> Buckets:
    """`buckets` with `count` transactions more in the one of `index`, which is the newest or newer than all."""
    if buckets and buckets[-3] == index:
        merged = (index, min(buckets[-2] + count, 0xFFFFFFFF), min(buckets[-1] + sum_minor, _MAX_SUM))
        return (*buckets[:-3], *merged)
    return (*buckets, index, count, sum_minor)
