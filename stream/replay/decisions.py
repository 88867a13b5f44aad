"""What a policy decides on many scores at once: the same as `agents.decide.decide` on each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.policy import Policy
from stream.replay.record import MILLION, UNSCORED, Micro

ALLOW, REVIEW, BLOCK = 0, 1, 2
"""Places in `schemas.flag.DECISIONS`."""
NEVER = UNSCORED
"""A threshold that no score reaches."""


class Decided(NamedTuple):
    """`decision` [n] as places in `DECISIONS`, `labels` [n, labels] true where a label was reached."""

    decision: NDArray[np.uint8]
    labels: NDArray[np.bool_]


def smallest(threshold: float) -> int:
    """The smallest score in millionths that is at or above `threshold`."""
    score = int(threshold * MILLION)
    # The division is how a stored score becomes a probability again, so the comparison is the one that an agent makes.
    while score > 0 and (score - 1) / MILLION >= threshold:
        score -= 1
    while score / MILLION < threshold:
        score += 1
    return score


def thresholds(labels: tuple[str, ...], policy: Policy) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Review and block thresholds of `labels` in millionths; `NEVER` for a label without a rule."""
    rules = [policy.labels.get(label) for label in labels]
    review = [NEVER if rule is None else smallest(rule.review) for rule in rules]
    block = [NEVER if rule is None or rule.block is None else smallest(rule.block) for rule in rules]
    return np.array(review, np.uint32), np.array(block, np.uint32)


def decide_all(scores: Micro, labels: tuple[str, ...], policy: Policy) -> Decided:
    """The decisions of `policy` on `scores` [n, labels]; an event without scores is allowed."""
    review, block = thresholds(labels, policy)
    known = scores != UNSCORED
    reached = known & (scores >= review)
    blocked = known & (scores >= block)
    decision = np.where(blocked.any(axis=1), BLOCK, np.where(reached.any(axis=1), REVIEW, ALLOW)).astype(np.uint8)
    return Decided(decision, reached)
