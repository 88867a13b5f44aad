"""Decisions are pure, and monotone in every score."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.decide import decide, risk_level, risk_score
from schemas.flag import DECISIONS
from schemas.labels import MESSAGE_LABELS
from schemas.policy import LabelRule, Policy, RiskBands

probabilities = st.floats(0, 1)
scores = st.dictionaries(st.sampled_from(MESSAGE_LABELS), probabilities)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    labels = {}
    for label in draw(st.sets(st.sampled_from(MESSAGE_LABELS))):
        review = draw(probabilities)
        labels[label] = LabelRule(review=review, block=draw(st.none() | st.floats(review, 1)), severity="medium")
    return Policy(name="p", labels=labels)


@given(scores, policies())
def test_exactly_the_labels_at_or_above_their_threshold_are_reached(values: dict[str, float], policy: Policy) -> None:
    reached = {label.name for label in decide(values, policy).labels}
    assert reached == {name for name, score in values.items() if name in policy.labels and score >= policy.labels[name].review}


@given(scores, policies(), st.sampled_from(MESSAGE_LABELS), probabilities)
def test_a_higher_score_never_weakens_the_decision(values: dict[str, float], policy: Policy, label: str, more: float) -> None:
    raised = {**values, label: max(values.get(label, 0.0), more)}
    weak, strong = decide(values, policy), decide(raised, policy)
    assert DECISIONS.index(strong.decision) >= DECISIONS.index(weak.decision)
    assert {one.name for one in weak.labels} <= {one.name for one in strong.labels}


@given(scores, policies())
def test_the_order_in_which_scores_come_does_not_matter(values: dict[str, float], policy: Policy) -> None:
    assert decide(dict(reversed(values.items())), policy) == decide(values, policy)


@given(probabilities, probabilities)
def test_risk_grows_with_the_probability(one: float, other: float) -> None:
    low, high = sorted((one, other))
    order = ("normal", "elevated", "highest")
    bands = RiskBands()
    assert 0 <= risk_score(low) <= risk_score(high) <= 100
    assert order.index(risk_level(risk_score(low), bands)) <= order.index(risk_level(risk_score(high), bands))
