"""Where money is spent: towns, and in them (or on the net) the terminals of merchants."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from random import Random

TRADES: tuple[tuple[str, str, float], ...] = (
    ("grocery", "5411", 30), ("restaurant", "5812", 14), ("fuel", "5541", 9), ("pharmacy", "5912", 7),
    ("clothes", "5651", 8), ("bakery", "5462", 10), ("hardware", "5251", 5), ("books", "5942", 4),
    ("cinema", "7832", 3), ("transit", "4111", 6),
)
"""Name, merchant category code (ISO 18245) and frequency."""

NET_TRADES: tuple[tuple[str, str, float], ...] = (
    ("marketplace", "5399", 5), ("media", "5815", 3), ("electronics", "5732", 3), ("travel", "4722", 2),
)
COUNTRIES = ("DE", "DE", "DE", "DE", "DE", "AT", "FR", "NL", "BE", "IT")
FAR_COUNTRIES = ("US", "GB", "RO", "TR", "BR", "PH")
ONLINE_SHARE = 0.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A till, or the checkout of a shop on the net; `town` is None there."""

    id: str
    merchant_id: str
    mcc: str
    country: str
    town: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """All terminals; those of each town with their cumulative weights (some are busier); those on the net."""

    terminals: tuple[Terminal, ...]
    towns: tuple[tuple[Terminal, ...], ...]
    busy: tuple[tuple[float, ...], ...]
    online: tuple[Terminal, ...]
    far: tuple[Terminal, ...]

    @classmethod
    def draw(cls, rng: Random, *, terminals: int) -> Places:
        """About 45 tills a town. Raises `ValueError` for fewer than 50 terminals."""
        if terminals < 50:
            raise ValueError("a world of payments needs at least 50 terminals")
        names = iter(rng.sample(range(10**8), terminals))
        net = max(8, round(terminals * ONLINE_SHARE))
        countries = [rng.choice(COUNTRIES) for _ in range(max(1, (terminals - net) // 45))]
        towns: list[list[Terminal]] = [[] for _ in countries]
        for at in range(terminals - net):
            town = at % len(countries)
            towns[town].append(_terminal(rng, next(names), TRADES, country=countries[town], town=town))
        online, far = (
            tuple(_terminal(rng, next(names), NET_TRADES, country=rng.choice(lands), town=None) for _ in range(count))
            for lands, count in ((COUNTRIES, net - net // 4), (FAR_COUNTRIES, net // 4))
        )
        weights = tuple(tuple(accumulate(rng.uniform(0.4, 1.6) for _ in town)) for town in towns)
        everywhere = tuple(terminal for town in towns for terminal in town) + online + far
        return cls(terminals=everywhere, towns=tuple(map(tuple, towns)), busy=weights, online=online, far=far)

    def in_town(self, rng: Random, town: int) -> Terminal:
        """A terminal of `town`, drawn by how busy it is."""
        return rng.choices(self.towns[town], cum_weights=self.busy[town])[0]


def _terminal(
    rng: Random, name: int, trades: tuple[tuple[str, str, float], ...], *, country: str, town: int | None
) -> Terminal:
    trade, mcc, _ = rng.choices(trades, [weight for _, _, weight in trades])[0]
    merchant = f"{trade}-{rng.randrange(10**6):06d}"
    return Terminal(id=f"term-{name:08d}", merchant_id=merchant, mcc=mcc, country=country, town=town)
