"""A transaction: money that moves, to be judged by the fraud agent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Contract, Moment, Name

MAX_AMOUNT_MINOR = 10**15
"""Ten trillion in a currency with two decimals; a larger amount is a fault of the sender, and float64 stays exact below it."""


class Transaction(Contract):
    """One payment at one moment: `amount_minor` in the smallest unit of `currency` (ISO 4217), never negative."""

    id: Name
    occurred_at: Moment
    account_id: Name
    amount_minor: Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
    currency: Annotated[str, StringConstraints(min_length=3, max_length=3, to_upper=True)]
    card_id: Name | None = None
    merchant_id: Name | None = None
    terminal_id: Name | None = None
    mcc: Name | None = None
    channel: Name | None = None
    country: Name | None = None
    payee_id: Name | None = None
    device_id: Name | None = None
    tenant: Name | None = None

    @property
    def entity(self) -> str:
        """Whose history the transaction belongs to, which is the key of its topic: the card, else the account."""
        return self.card_id or self.account_id
