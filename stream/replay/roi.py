"""What the small model costs and saves, beside an alternative that is paid by the call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from schemas.labels import Kind
from schemas.policy import Policy
from stream.replay.decisions import decide_all
from stream.replay.expect import Units
from stream.replay.prices import Prices
from stream.replay.results import Results
from stream.replay.verdicts import Verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Costs in the currency of `prices`; `prevented` is the money in flagged transactions that a verdict calls fraud."""

    prices: Prices
    cpu_s_per_million: float
    cpu_cost_per_million: float
    call_cost_per_million: float
    call_hours_per_million: float
    """Hours that a million calls take one after the other."""
    times_cheaper: float | None
    events_a_day: float
    reviews_cost_a_day: float
    cpu_cost_a_day: float
    call_cost_a_day: float
    even_at_reviews_a_day: float | None
    """So many reviews a day the alternative would have to spare before it is worth its price; None where a review costs nothing."""
    currency: str | None
    """The transactions'; None for messages, and where there are several, whose amounts are not added up."""
    prevented: float | None
    missed: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def returns(results: Results, policy: Policy, verdicts: Verdicts | None, prices: Prices) -> Return:
    """The return on a replay's model under `policy`."""
    judged = results.tally.events + results.tally.warmup
    cpu_s = results.tally.cpu_s / judged * 1e6 if judged else 0.0
    cpu_cost = cpu_s / 3600 * prices.core_hour
    reviews, prevented, missed = 0, 0, 0
    kind: Kind = results.manifest.kind
    for _, rows in results.chunks():
        decision = decide_all(rows["scores"], results.manifest.labels, policy).decision
        reviews += int((decision == 1).sum())
        if verdicts is not None and kind == "transaction":
            fraud = verdicts.truth("fraud", rows["event"]) == 1
            prevented += int(rows["amount_minor"][fraud & (decision > 0)].sum(dtype=np.int64))
            missed += int(rows["amount_minor"][fraud & (decision == 0)].sum(dtype=np.int64))
    days = Units.over(results.span()).seen_days
    a_day = results.tally.events / days / 1e6
    currencies = list(results.tally.currencies)
    known = verdicts is not None and kind == "transaction" and len(currencies) < 2
    return Return(
        prices=prices, cpu_s_per_million=cpu_s, cpu_cost_per_million=cpu_cost, call_cost_per_million=prices.call * 1e6,
        call_hours_per_million=prices.call_ms * 1e6 / 3.6e6, times_cheaper=prices.call * 1e6 / cpu_cost if cpu_cost else None,
        events_a_day=results.tally.events / days, reviews_cost_a_day=reviews / days * prices.review,
        cpu_cost_a_day=cpu_cost * a_day, call_cost_a_day=prices.call * 1e6 * a_day,
        even_at_reviews_a_day=max(0.0, prices.call * 1e6 - cpu_cost) * a_day / prices.review if prices.review else None,
        currency=currencies[0] if len(currencies) == 1 else None,
        prevented=prevented / results.minor_in_one() if known else None, missed=missed / results.minor_in_one() if known else None,
    )


def pays(returned: Return) -> str:
    """When the small model pays, in a sentence."""
    extra = returned.call_cost_a_day - returned.cpu_cost_a_day
    if extra <= 0 or returned.times_cheaper is None:
        return f"The alternative costs no more: {returned.call_cost_a_day:,.4f} a day, and this model {returned.cpu_cost_a_day:,.4f}."
    told = f"This model scores at 1/{returned.times_cheaper:,.0f} of the alternative's price. The alternative pays only where it is worth {extra:,.2f} more a day"
    if returned.even_at_reviews_a_day is None:
        return f"{told}, in losses that it prevents."
    return f"{told}: with {returned.even_at_reviews_a_day:,.1f} fewer reviews, or as much in losses that it prevents."
