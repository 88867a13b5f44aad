"""What one transaction can see of the past: shared partial results for the feature functions, computed once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import takewhile
from math import sqrt
from operator import itemgetter

from models.entry import NONE, Entry
from models.history import DAY_MS, HOUR_MS, History
from models.lazy import lazy
from models.terminal import Terminal, closed_hour

NAN = float("nan")
DELAY_MS = 7 * DAY_MS
"""How long after a transaction its fraud is usually known (chargebacks, complaints)."""
WEEK_MS = 7 * DAY_MS
MONTH_MS = 30 * DAY_MS

Ripe = tuple[int, bool, int, float]
"""A transaction at a terminal: age in ms at the last closed hour, fraud or not, amount, amount / its card's usual."""


class View:
    """The past of a transaction's card (and terminal) up to its own time, without itself.

    Windows are (time - length, time]: exact where the kept transactions reach, and beyond them to the hour or day whose
    middle lies inside. Amounts compare only with amounts of the transaction's own currency."""

    def __init__(self, history: History | None, entry: Entry, terminal: Terminal | None = None) -> None:
        if history is not None and entry.id in history.ids:
            # Delivered again after it was folded in: it must not see itself, or its score would change.
            place = history.ids.index(entry.id)
            history = history.without(place)
        self.history = history
        self.entry = entry
        self.terminal = terminal
        times = () if history is None else history.times
        self.times = times
        at = entry.at_ms
        self.seen = len(times) if not times or times[-1] <= at else bisect_right(times, at)
        """The first `seen` kept transactions lie at or before this one in time."""

    def count(self, length_ms: int) -> float:
        """Transactions of the card in the window; NaN without a history."""
        history = self.history
        if history is None:
            return NAN
        since = self.entry.at_ms - length_ms
        times = self.times
        inside = self.seen - bisect_right(times, since, 0, self.seen)
        if inside == self.seen and history.past_count:
            inside += self._buckets(length_ms)[0]
        return float(inside)

    def mean(self, length_ms: int) -> float:
        """Mean amount (minor units) of the card in the window; NaN where there is none or it cannot be known."""
        history = self.history
        if history is None or not self.seen:
            return NAN
        amounts, start = self.amounts, bisect_right(self.amount_times, self.entry.at_ms - length_ms)
        count, total = len(amounts) - start, sum(amounts[start:] if start else amounts)
        if start == 0 and history.home == self.entry.currency:
            past = self._buckets(length_ms)
            count, total = count + past[0], total + past[1]
        return total / count if count else NAN

    def _buckets(self, length_ms: int) -> tuple[int, int]:
        """Count and sum of the summed-up hours and days whose middle lies in the window."""
        history, since = self.history, self.entry.at_ms - length_ms
        count = total = 0
        if history is None:
            return 0, 0
        for buckets, size in ((history.hours, HOUR_MS), (history.days, DAY_MS)):
            if buckets:
                first = (since + size // 2) // size
                indices = buckets[::3]
                start, end = 3 * bisect_left(indices, first), len(buckets)
                if not self.seen:
                    # So late that even some of the summed-up ones are later.
                    end = 3 * bisect_left(indices, (self.entry.at_ms + size // 2) // size)
                count += sum(buckets[start + 1 : end : 3])
                total += sum(buckets[start + 2 : end : 3])
        return count, total

    @lazy
    def _same(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Amounts and times of the kept, seen transactions in the transaction's currency."""
        history = self.history
        if history is None or not self.seen:
            return (), ()
        seen, currency = self.seen, self.entry.currency
        amounts, times, currencies = history.amounts, self.times, history.currencies
        if seen != len(times):
            amounts, times, currencies = amounts[:seen], times[:seen], currencies[:seen]
        if currencies.count(currency) == seen:
            return amounts, times
        pairs = [(amount, at) for amount, at, each in zip(amounts, times, currencies, strict=True) if each == currency]
        return tuple(amount for amount, _ in pairs), tuple(at for _, at in pairs)

    @lazy
    def amounts(self) -> tuple[int, ...]:
        """Amounts of the kept, seen transactions in the transaction's currency, in order of time."""
        return self._same[0]

    @lazy
    def amount_times(self) -> tuple[int, ...]:
        """Their times."""
        return self._same[1]

    @lazy
    def median(self) -> float:
        """Median amount (minor units) of the kept transactions in this currency; NaN without any."""
        ordered = sorted(self.amounts)
        half = len(ordered) // 2
        if not ordered:
            return NAN
        return float(ordered[half]) if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2

    @lazy
    def count_30d(self) -> float:
        """`count` over 30 days."""
        return self.count(MONTH_MS)

    @lazy
    def mean_30d(self) -> float:
        """`mean` over 30 days."""
        return self.mean(MONTH_MS)

    @lazy
    def running(self) -> tuple[float, float]:
        """Mean and standard deviation of all amounts on record in this currency; NaN below 3 of them.

        Transactions dated after this one are left out as far as they are kept."""
        amounts, history = self.amounts, self.history
        count, total, squares = len(amounts), sum(amounts), sum([amount * amount for amount in amounts])
        if history is not None and history.home == self.entry.currency:
            count, total, squares = count + history.past_count, total + history.past_sum, squares + history.past_squares
        if count < 3:
            return NAN, NAN
        # Exact until the last line: whole numbers, so that the order of arrival leaves no trace.
        return total / count, sqrt(max(0, count * squares - total * total)) / count

    def recent(self, length_ms: int) -> tuple[int, ...]:
        """Amounts of the kept transactions in the window."""
        return self.amounts[bisect_right(self.amount_times, self.entry.at_ms - length_ms) :]

    def high(self, length_ms: int) -> float:
        """Kept transactions in the window above 3 times the median amount; NaN without any kept."""
        if not self.amounts:
            return NAN
        bound = 3 * self.median
        return float(sum([amount > bound for amount in self.recent(length_ms)]))

    @lazy
    def highs(self) -> list[float]:
        """Ages in days of the kept transactions of 28 days above 2.5 times the median amount, oldest first."""
        bound, at = 2.5 * self.median, self.entry.at_ms
        start = bisect_right(self.amount_times, at - 4 * WEEK_MS)
        recent = zip(self.amount_times[start:], self.amounts[start:], strict=True)
        return [(at - time) / DAY_MS for time, amount in recent if amount > bound]

    @lazy
    def places(self) -> tuple[int, ...]:
        """Places of the kept, seen transactions that name one."""
        return () if self.history is None else self._named(self.history.places)

    @lazy
    def lands(self) -> tuple[int, ...]:
        """Countries of the kept, seen transactions that name one."""
        return () if self.history is None else self._named(self.history.lands)

    def _named(self, column: tuple[int, ...]) -> tuple[int, ...]:
        values = column[: self.seen]
        return tuple([value for value in values if value]) if NONE in values else values

    @lazy
    def ripe(self) -> list[Ripe]:
        """The terminal's kept transactions whose truth is as known as it will be, newest first; empty without a terminal."""
        terminal = self.terminal
        if terminal is None:
            return []
        until, past, frauds = closed_hour(self.entry.at_ms), terminal.past, terminal.frauds
        known = frauds.ids[: bisect_right(frauds.times, until)]
        size = bisect_right(past.times, until if known else until - DELAY_MS)
        columns = zip(past.times[:size], past.ids[:size], past.amounts[:size], past.lands[:size], strict=True)
        found = [
            (until - at, key in known, amount, (odd - 1) / 100 if odd else NAN)
            for at, key, amount, odd in columns
            if at <= until - DELAY_MS or key in known
        ]
        found.reverse()
        return found

    @lazy
    def streak(self) -> list[Ripe]:
        """The unbroken run of frauds at the end of `ripe`, newest first."""
        return [] if self.spotless else list(takewhile(itemgetter(1), self.ripe))

    @lazy
    def spotless(self) -> bool:
        """Whether no fraud is known of the terminal, which is so of nearly all: then `ripe` need not be put together."""
        terminal = self.terminal
        if terminal is None:
            return True
        frauds = terminal.frauds.times
        return not frauds or frauds[0] > closed_hour(self.entry.at_ms)

    @lazy
    def any_ripe(self) -> bool:
        """Whether `ripe` holds anything."""
        if not self.spotless:
            return bool(self.ripe)
        terminal = self.terminal
        if terminal is None or not terminal.past.times:
            return False
        return terminal.past.times[0] <= closed_hour(self.entry.at_ms) - DELAY_MS
