"""Who pays: people with a home town, shops they like, and a usual amount and pace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from stream.traffic.places import Places, Terminal

DAY_S = 24 * 60 * 60
USUAL_MINOR = (500, 10_000)
"""The mean amount of a card lies between these."""

PER_DAY = (0.2, 4.0)
"""The mean number of payments a day lies between these."""

HONEST_LIMIT_MINOR = 21_500
"""Card holders here make no larger everyday payments: what is above is not theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cardholder:
    """One card. Its amounts have mean `mean_minor` (before the limit) and a standard deviation of 0.4 of it; its times
    cluster around `midday_s` seconds after midnight."""

    card_id: str
    account_id: str
    device_id: str
    town: int
    mean_minor: int
    per_day: float
    midday_s: float
    liked: tuple[Terminal, ...]

    @classmethod
    def draw(cls, rng: Random, places: Places) -> Cardholder:
        """Somebody of one of the towns."""
        town = rng.randrange(len(places.towns))
        near = [places.in_town(rng, town) for _ in range(rng.randint(8, 40))]
        return cls(
            card_id=f"tok_{rng.getrandbits(64):016x}",
            account_id=f"acc-{rng.getrandbits(40):010x}",
            device_id=f"dev-{rng.getrandbits(32):08x}",
            town=town, mean_minor=rng.randint(*USUAL_MINOR), per_day=rng.uniform(*PER_DAY),
            midday_s=rng.gauss(12.5, 1.5) * 3600, liked=(*near, *rng.sample(places.online, 3)),
        )

    def times(self, rng: Random) -> list[float]:
        """Seconds of a day at which the holder pays, unordered: a Poisson number of them, around noon."""
        return [self._time(rng) for _ in range(poisson(rng, self.per_day))]

    def amount_minor(self, rng: Random) -> int:
        """A payment of the usual kind, 0.50 to 215.00."""
        while True:
            amount = round(rng.gammavariate(6.0, self.mean_minor / 6.0))
            if 50 <= amount <= HONEST_LIMIT_MINOR:
                break
        # Half of all prices end as prices do.
        return amount if rng.random() < 0.5 else max(50, (amount + 5) // 10 * 10 - (1 if rng.random() < 0.6 else 0))

    def shop(self, rng: Random, places: Places) -> Terminal:
        """Where the holder pays: mostly where they like to, else in town, seldom in another."""
        roll = rng.random()
        if roll < 0.8:
            return self.liked[int(rng.random() * len(self.liked))]
        return places.in_town(rng, self.town if roll < 0.95 else rng.randrange(len(places.towns)))

    def _time(self, rng: Random) -> float:
        while True:
            second = rng.gauss(self.midday_s, 4.5 * 3600)
            if 0 <= second < DAY_S:
                return second


def poisson(rng: Random, mean: float) -> int:
    """A Poisson number, by Knuth's product of uniforms; `mean` is small here."""
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
