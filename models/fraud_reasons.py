"""Why a transaction stands out, in plain words: read off its features, so that people can check each one.

They say what is unusual, not how the model weighed it. Each has a stable code and a strength; a reason whose features are
not known is left out. Nothing here can name a card, an account or a terminal, since features are only numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.flag import Reason

MAX_REASONS = 3


class _Found(NamedTuple):
    strength: float
    code: str
    text: str


REASON_CODES: dict[str, str] = {
    "velocity_10m": "Many transactions of the card in 10 minutes.",
    "velocity_1h": "Many transactions of the card in an hour.",
    "velocity_1d": "More transactions in a day than the card usually makes.",
    "amount_over_usual": "The amount is a multiple of what the card usually pays.",
    "amount_over_largest": "The amount exceeds all that is on record of the card.",
    "amount_large": "The amount is large in itself.",
    "recent_high_amounts": "The card made several unusually high payments lately.",
    "new_country": "A country where the card was not used before.",
    "new_place": "A terminal, merchant or payee that the card did not use before.",
    "known_fraud_place": "Transactions at this terminal (merchant, payee) became known as fraud.",
    "unusual_hour": "At night (UTC).",
}
"""Every code with its meaning."""


def reasons_of(features: Mapping[str, float], *, limit: int = MAX_REASONS) -> tuple[Reason, ...]:
    """The strongest reasons among `features` (by name; NaN or absent: not known), at most `limit`."""
    found = sorted(_amounts(features) + _pace(features) + _places(features), key=lambda each: -each.strength)
    return tuple(Reason(code=each.code, text=each.text) for each in found[:limit])


def _amounts(features: Mapping[str, float]) -> list[_Found]:
    found = []
    over_median = features.get("card_amount_over_median", 0.0)
    over_mean = features.get("card_amount_over_mean", 0.0)
    over_max = features.get("card_amount_over_max", 0.0)
    high = features.get("card_high_7d", 0.0)
    amount = features.get("amount", 0.0)
    # Comparisons with NaN are false, so what is not known gives no reason.
    if over_median >= 2.5:
        found.append(_Found(over_median / 2.5, "amount_over_usual", f"amount {_times(over_median)} times the card's usual (median)"))
    elif over_mean >= 2.5:
        found.append(_Found(over_mean / 2.5, "amount_over_usual", f"amount {_times(over_mean)} times the card's mean"))
    if over_max > 1.2:
        found.append(_Found(over_max / 1.3, "amount_over_largest", f"amount {_times(over_max)} times the card's largest on record"))
    if amount >= 200:
        found.append(_Found(amount / 220, "amount_large", "a large amount in itself"))
    if high >= 2:
        found.append(_Found(0.9 + high / 10, "recent_high_amounts", f"{high:.0f} payments above 3 times the card's usual in 7 days"))
    return found


def _pace(features: Mapping[str, float]) -> list[_Found]:
    found = []
    usual = features.get("card_per_day", float("nan"))
    compare = f"; card's usual is {usual:.1f} a day" if usual == usual else ""
    for name, code, words, floor in (
        ("card_count_10m", "velocity_10m", "10 minutes", 3),
        ("card_count_1h", "velocity_1h", "an hour", 4),
    ):
        # The features count what was before; the transaction itself is one more.
        count = features.get(name, 0.0) + 1
        if count >= floor:
            found.append(_Found(count / floor + 0.5, code, f"{count:.0f} transactions in {words}{compare}"))
            break
    count = features.get("card_count_1d", 0.0) + 1
    if count >= 4 and count > 3 * usual:
        found.append(_Found(count / (3 * usual + 1), "velocity_1d", f"{count:.0f} transactions in a day{compare}"))
    return found


def _places(features: Mapping[str, float]) -> list[_Found]:
    found = []
    frauds, risk = features.get("terminal_frauds_30d", 0.0), features.get("terminal_risk_30d", float("nan"))
    if frauds >= 1:
        share = f", {100 * risk:.0f} % of its transactions then" if risk == risk else ""
        several = "s" if frauds > 1 else ""
        text = f"{frauds:.0f} known fraud{several} at this terminal in 30 days{share}"
        found.append(_Found(1.0 + frauds, "known_fraud_place", text))
    if features.get("card_new_land", 0.0) == 1.0:
        found.append(_Found(1.2, "new_country", "a country where the card was not used before"))
    if features.get("card_new_place", 0.0) == 1.0:
        found.append(_Found(0.3, "new_place", "a place where the card was not used before"))
    if features.get("hour_of_day", 12.0) < 5.0:
        found.append(_Found(0.2, "unusual_hour", "at night (UTC)"))
    return found


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"
