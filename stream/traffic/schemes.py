"""How card fraud goes: a card that is tested and then emptied, one that is stolen, a terminal in crooked hands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from stream.traffic.cardholders import DAY_S, Cardholder, poisson
from stream.traffic.places import Places, Terminal

Scheme = Literal["card_testing", "stolen_card", "compromised_terminal"]
SCHEMES: tuple[Scheme, ...] = ("card_testing", "stolen_card", "compromised_terminal")

TESTED_PER_CARD_DAY = 0.0012
STOLEN_PER_CARD_DAY = 0.0012
CROOKED_PER_TERMINAL_DAY = 0.00025
"""How often a scheme begins; with what each yields, 0.5 to 1 % of all payments are fraud."""

CROOKED_SHARE = 0.85
"""Share of a crooked terminal's payments that their holders never agreed to."""


def begins(day: int, per_day: float, phase: float) -> int:
    """How many schemes begin on `day`: `per_day` of them, evenly from `phase` (0 to 1) on, since a short demo that left
    it to chance would often show none."""
    return math.floor((day + 1) * per_day + phase) - math.floor(day * per_day + phase)


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment `second` seconds after the start of the simulation; `scheme` is None where it is honest."""

    second: float
    card: Cardholder
    terminal: Terminal
    amount_minor: int
    scheme: Scheme | None


def card_testing(rng: Random, card: Cardholder, places: Places, *, day: int) -> Iterator[Payment]:
    """Tiny payments on the net within minutes, to see whether a number works; soon after, as much as it gives."""
    second = day * DAY_S + rng.uniform(0, DAY_S)
    shops = places.online + places.far
    for _ in range(rng.randint(2, 5)):
        yield Payment(second, card, rng.choice(shops), rng.randint(1, 199), "card_testing")
        second += rng.uniform(8, 90)
    second += rng.uniform(300, 2400)
    for _ in range(rng.randint(1, 3)):
        yield Payment(second, card, rng.choice(shops), rng.randint(24_000, 95_000), "card_testing")
        second += rng.uniform(60, 600)


def stolen_card(rng: Random, card: Cardholder, places: Places, *, day: int) -> Iterator[Payment]:
    """Beside the holder's own payments, for two to five days, ones of several times the usual amount, often far off."""
    for later in range(rng.randint(2, 5)):
        for _ in range(poisson(rng, 1.4)):
            amount = round(rng.uniform(3.5, 7.0) * max(card.mean_minor, 2_000))
            town = rng.randrange(len(places.towns))
            terminal = rng.choice(places.far) if rng.random() < 0.3 else places.in_town(rng, town)
            yield Payment((day + later + rng.random()) * DAY_S, card, terminal, amount, "stolen_card")


class CrookedTerminals:
    """Which terminals are in crooked hands: each for five to twenty days, with amounts like any other's, so that only
    what was reported before tells them."""

    def __init__(self, rng: Random, terminals: tuple[Terminal, ...]) -> None:
        self._rng = rng
        self._terminals = terminals
        self._until: dict[str, int] = {}
        self._phase = rng.random()

    def dawn(self, day: int) -> None:
        """Lets schemes end and begin."""
        self._until = {name: last for name, last in self._until.items() if last >= day}
        for _ in range(begins(day, CROOKED_PER_TERMINAL_DAY * len(self._terminals), self._phase)):
            self._until.setdefault(self._rng.choice(self._terminals).id, day + self._rng.randint(4, 19))

    def takes(self, terminal: Terminal) -> bool:
        """Whether this payment at `terminal` becomes a fraud."""
        return terminal.id in self._until and self._rng.random() < CROOKED_SHARE
