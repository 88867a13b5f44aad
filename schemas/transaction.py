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

    @property
    def owner(self) -> str:
        """The entity within its tenant: what its history is kept under."""
        return self.entity if self.tenant is None else f"{self.tenant}\x1f{self.entity}"

    @property
    def place(self) -> str | None:
        """The terminal, else merchant, else payee within the tenant: where risk gathers beside the card; None where none is named."""
        named = self.terminal_id or self.merchant_id or self.payee_id
        return named if named is None or self.tenant is None else f"{self.tenant}\x1f{named}"
