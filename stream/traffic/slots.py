"""What fills the `{slots}` of templates: words from `corpus/slots.toml`, and made numbers, times and addresses."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from random import Random

Filler = Callable[[Random], str]

_HOSTS = (
    "account-verify", "secure-login", "prize-claims", "best-dealz", "parcel-fee", "promo-world", "fast-cash",
    "wallet-sync",
)


def _pick(words: tuple[str, ...]) -> Filler:
    count = len(words)
    return lambda rng: words[int(rng.random() * count)]


def _between(low: int, high: int) -> Filler:
    span = high - low + 1
    return lambda rng: str(low + int(rng.random() * span))


def _price(rng: Random) -> str:
    return _in_euros(5 + int(rng.random() ** 2 * 400), rng)


def _sum(rng: Random) -> str:
    return _in_euros(180 + int(rng.random() ** 2 * 270) * 10, rng)


def _in_euros(amount: int, rng: Random) -> str:
    return (f"{amount} euros", f"{amount}€", f"€{amount}", f"{amount} EUR", str(amount))[int(rng.random() * 5)]


def _big_sum(rng: Random) -> str:
    return f"{rng.choice(('$', '€', '£'))}{rng.randint(2, 95) * 50},000"


def _time(rng: Random) -> str:
    hour, minute = rng.randint(6, 23), rng.choice((0, 15, 30, 45))
    twelve, half = hour % 12 or 12, "pm" if hour >= 12 else "am"
    return rng.choice((f"{hour}:{minute:02d}", f"{twelve}", f"{hour}h", f"{twelve}{half}"))


def _order(rng: Random) -> str:
    return f"{rng.choice('ABKLST')}{rng.randint(10_000, 99_999)}"


def _address(rng: Random) -> str:
    # .example is reserved: such an address leads nowhere, whoever clicks it.
    path = f"/{rng.randrange(16**5):05x}" if rng.random() < 0.6 else ""
    return f"{rng.choice(('https://', 'http://', 'www.', ''))}{rng.choice(_HOSTS)}{rng.randint(1, 99)}.example{path}"


MADE: Mapping[str, Filler] = {
    "n": _between(2, 59),
    "few": _between(2, 9),
    "code": _between(100_000, 999_999),
    "year": _between(2025, 2027),
    "price": _price,
    "sum": _sum,
    "big": _big_sum,
    "time": _time,
    "order": _order,
    "url": _address,
}


@cache
def fillers() -> Mapping[str, Filler]:
    """Every slot's name and what fills it."""
    text = resources.files("stream.traffic").joinpath("corpus", "slots.toml").read_text(encoding="utf-8")
    return {name: _pick(tuple(words)) for name, words in tomllib.loads(text).items()} | dict(MADE)
