"""Whether an account (card) was new when it paid."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from agents.protocol import StateKey
from schemas.message import Message
from schemas.transaction import Transaction

NEW_MS = 7 * 24 * 3_600_000
"""How long an account counts as new after it was first seen."""
NAMES = ("(not known)", "known for a week", "new within 7 days")
UNKNOWN, KNOWN, NEW = range(3)
_AT = Struct("<q")


class Ages:
    """When each account was first seen in what a replay read, warm-up included; messages are not followed. `values` can be stored
    beside the agents' state, and grows with the accounts as that does."""

    def __init__(self) -> None:
        self.values: dict[StateKey, bytes] = {}

    def of(self, part: int, events: Iterable[tuple[int, Message | Transaction]]) -> list[int]:
        """`NEW`, `KNOWN` or `UNKNOWN` for each event, which is remembered."""
        return [
            UNKNOWN if isinstance(event, Message) else self.seen(StateKey(part, owner(event)), int(event.occurred_at.timestamp() * 1000))
            for _, event in events
        ]

    def seen(self, account: StateKey, at_ms: int) -> int:
        """`NEW` or `KNOWN` for an account that pays at `at_ms`, which is remembered."""
        first = self.values.get(account)
        if first is None:
            self.values[account] = _AT.pack(at_ms)
        return NEW if first is None or at_ms - _AT.unpack(first)[0] < NEW_MS else KNOWN


def owner(event: Transaction) -> bytes:
    """The account (card) of a transaction, apart for each tenant."""
    return f"{event.tenant or ''}\x1f{event.entity}".encode("utf-8", "surrogatepass")
