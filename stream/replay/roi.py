"""What the small model costs and saves, beside an alternative that is paid by the call."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from schemas.labels import Kind
from schemas.policy import Policy
from stream.replay.decisions import decide_all
from stream.replay.prices import Prices
from stream.replay.results import Results
from stream.replay.verdicts import Verdicts

DAY_MS = 86_400_000


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
    reviews_cost_a_day: float
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
    first, last, reviews, prevented, missed = 2**62, 0, 0, 0, 0
    kind: Kind = results.manifest.kind
    for _, rows in results.chunks():
        decision = decide_all(rows["scores"], results.manifest.labels, policy).decision
        reviews += int((decision == 1).sum())
        first, last = min(first, int(rows["at_ms"].min())), max(last, int(rows["at_ms"].max()))
        if verdicts is not None and kind == "transaction":
            fraud = verdicts.truth("fraud", rows["event"]) == 1
            prevented += int(rows["amount_minor"][fraud & (decision > 0)].sum(dtype=np.int64))
            missed += int(rows["amount_minor"][fraud & (decision == 0)].sum(dtype=np.int64))
    days = max((last - first) / DAY_MS, 1 / 24)
    known = verdicts is not None and kind == "transaction"
    return Return(
        prices=prices, cpu_s_per_million=cpu_s, cpu_cost_per_million=cpu_cost, call_cost_per_million=prices.call * 1e6,
        call_hours_per_million=prices.call_ms * 1e6 / 3.6e6, times_cheaper=prices.call * 1e6 / cpu_cost if cpu_cost else None,
        reviews_cost_a_day=reviews / days * prices.review,
        prevented=prevented / 100 if known else None, missed=missed / 100 if known else None,
    )
