"""One transaction as histories and features see it: whole numbers only, no account, card or terminal by name."""

from __future__ import annotations

import zlib
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from schemas.transaction import Transaction

NONE = 0
"""The key of something that the transaction does not say."""


def key64(identifier: str) -> int:
    """`identifier` as an unsigned 64-bit digest: enough to tell ids apart, too little to be an account number."""
    return int.from_bytes(blake2b(identifier.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def key32(identifier: str) -> int:
    """`identifier` as a non-zero unsigned 32-bit checksum, for "the same as before?" among few."""
    return zlib.crc32(identifier.encode("utf-8", "surrogatepass")) or 1


@lru_cache(maxsize=1024)
def key16(identifier: str) -> int:
    """`identifier` (a currency, a country) as 1 to 65534."""
    return zlib.crc32(identifier.upper().encode("utf-8", "surrogatepass")) % 0xFFFE + 1


class Entry(NamedTuple):
    """A transaction: `at_ms` in event time since 1970, `id` its `key64`, `amount_minor` in the smallest unit of `currency`
    (`key16`), `place` its terminal, else merchant, else payee (`key32`), `land` its country (`key16`)."""

    at_ms: int
    id: int
    amount_minor: int
    currency: int
    place: int = NONE
    land: int = NONE

    @classmethod
    def of(cls, tx: Transaction) -> Entry:
        """The entry of a wire transaction."""
        place = tx.terminal_id or tx.merchant_id or tx.payee_id
        return cls(
            int(tx.occurred_at.timestamp() * 1000), key64(tx.id), tx.amount_minor, key16(tx.currency),
            NONE if place is None else key32(place), NONE if tx.country is None else key16(tx.country),
        )
