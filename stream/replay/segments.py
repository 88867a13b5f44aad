"""The groups that a comparison is broken down by, as small numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.message import Message
from schemas.transaction import Transaction

OTHER = "(other)"
ABSENT = "(none)"
MAX_NAMES = 5_000
"""Names kept of each segment; later ones count as `OTHER`, so that a field of free text cannot fill the memory."""
BY_NAME = ("tenant", "channel", "language")
BANDS_MINOR = (0, 1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000)
"""Lower ends of the amount bands in minor units."""


def names_of(event: Message | Transaction) -> tuple[str | None, str | None, str | None]:
    """Tenant, channel and language of an event."""
    if isinstance(event, Message):
        return event.tenant, event.channel_id, event.lang
    return event.tenant, event.channel, event.country


class Segments:
    """Names to codes, in order of appearance, apart for each segment."""

    def __init__(self, names: Mapping[str, Iterable[str]] | None = None) -> None:
        self._codes: dict[str, dict[str, int]] = {
            segment: {name: code for code, name in enumerate((names or {}).get(segment, (ABSENT, OTHER)))} for segment in BY_NAME
        }

    def codes(self, event: Message | Transaction) -> tuple[int, ...]:
        """The codes of an event, one for each of `BY_NAME`."""
        return tuple(
            self._code(codes, name) for codes, name in zip(self._codes.values(), names_of(event), strict=True)
        )

    @property
    def names(self) -> dict[str, list[str]]:
        """The names by segment; a name's place is its code."""
        return {segment: list(codes) for segment, codes in self._codes.items()}

    def code(self, segment: str, name: str) -> int:
        """The code of a name that another `Segments` gave."""
        fixed = (ABSENT, OTHER)
        return fixed.index(name) if name in fixed else self._code(self._codes[segment], name)

    @staticmethod
    def _code(codes: dict[str, int], name: str | None) -> int:
        if name is None:
            return 0
        code = codes.get(name)
        if code is None:
            code = codes[name] = len(codes) if len(codes) < MAX_NAMES else 1
            if code == 1:
                del codes[name]
        return code


def band_name(band: int) -> str:
    """The amount band for people, in whole units of a currency with two decimals."""
    low = BANDS_MINOR[band] // 100
    return f"{low:,} and more" if band + 1 == len(BANDS_MINOR) else f"{low:,} to {BANDS_MINOR[band + 1] // 100:,}"
