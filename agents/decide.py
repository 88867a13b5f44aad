"""Scores and a policy to a decision: pure, and monotone in every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.flag import DECISIONS, Decision, LabelScore, RiskLevel
from schemas.policy import Policy, RiskBands


@dataclass(frozen=True, slots=True)
class Judgement:
    """The labels at or above their thresholds, highest margin first, and the gravest decision among them."""

    labels: tuple[LabelScore, ...]
    decision: Decision


ALLOWED = Judgement((), "allow")


def decide(scores: Mapping[str, float], policy: Policy) -> Judgement:
    """The judgement of calibrated probabilities `scores` (label to [0, 1]); a label without a rule is ignored."""
    reached: list[LabelScore] = []
    decision: Decision = "allow"
    for label, score in scores.items():
        rule = policy.labels.get(label)
        if rule is None or score < rule.review:
            continue
        wanted: Decision = "block" if rule.block is not None and score >= rule.block else "review"
        decision = max(decision, wanted, key=DECISIONS.index)
        reached.append(LabelScore(name=label, score=score, threshold=rule.review, severity=rule.severity))
    if not reached:
        return ALLOWED
    reached.sort(key=lambda one: (one.threshold - one.score, one.name))
    return Judgement(tuple(reached), decision)


def risk_score(probability: float) -> int:
    """A probability of fraud as 0–100, rounded down, so that 100 means certainty."""
    return int(probability * 100)


def risk_level(score: int, bands: RiskBands) -> RiskLevel:
    """The band that `score` (0–100) falls into."""
    if score >= bands.highest:
        return "highest"
    return "elevated" if score >= bands.elevated else "normal"
