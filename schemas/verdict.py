"""A verdict: what turned out to be true, said by a reviewer, an appeal or a chargeback."""

from __future__ import annotations

from typing import Literal

from schemas.base import Contract, Moment, Name

VerdictOutcome = Literal["confirmed", "overturned", "fraud", "legitimate"]


class Verdict(Contract):
    """Ground truth for one event, known at `occurred_at`; a later one may replace an earlier by naming it in `supersedes`."""

    id: Name
    event_id: Name
    label: Name
    outcome: VerdictOutcome
    source: Name
    occurred_at: Moment
    flag_id: Name | None = None
    supersedes: Name | None = None
