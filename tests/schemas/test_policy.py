"""Policies: data that is checked when it is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.labels import BY_NAME, SEVERITIES
from schemas.policy import LabelRule, Policy, PolicyError, RiskBands
from stream.load import DEFAULT_POLICY

PROBABILITY = st.floats(0, 1)
RULES = st.builds(
    lambda low, high, severity, never: LabelRule(review=min(low, high), block=None if never else max(low, high), severity=severity),
    PROBABILITY, PROBABILITY, st.sampled_from(SEVERITIES), st.booleans(),
)  # fmt: skip
POLICIES = st.builds(Policy, name=st.text(min_size=1, max_size=20), labels=st.dictionaries(st.sampled_from(sorted(BY_NAME)), RULES))


def toml(policy: Policy) -> str:
    lines = ["version = 1", 'name = "n"', "[risk]", f"elevated = {policy.risk.elevated}", f"highest = {policy.risk.highest}", "[labels]"]
    for label, rule in policy.labels.items():
        lines += [f"[labels.{label}]", f"review = {float(rule.review)!r}", f'severity = "{rule.severity}"']
        lines += [] if rule.block is None else [f"block = {float(rule.block)!r}"]
    return "\n".join(lines)


@given(POLICIES)
def test_a_policy_survives_its_file(policy: Policy) -> None:
    again = Policy.from_toml(toml(policy), source="p.toml")
    assert (again.labels, again.risk) == (policy.labels, policy.risk)


@given(st.text())
def test_any_text_is_a_policy_or_a_policy_error_of_one_line_naming_the_file(text: str) -> None:
    with pytest.raises(PolicyError, match=r"^p\.toml: [^\n]*"):
        Policy.from_toml(text + "\nnot a policy", source="p.toml")


@given(POLICIES, POLICIES)
def test_the_digest_tells_policies_apart_and_layout_does_not_matter(one: Policy, other: Policy) -> None:
    assert (one.digest == other.digest) == (one.model_dump_json() == other.model_dump_json())
    assert Policy.from_toml("# a comment\n" + toml(one), source="a").digest == Policy.from_toml(toml(one) + "\n\n", source="b").digest


RULE = {"review": 0.5, "block": 0.9, "severity": "low"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": {"rudeness": RULE}}, "unknown label 'rudeness'; known: harassment"),
        ({"labels": {"spam": {**RULE, "block": 0.4}}}, "block must not be below review"),
        ({"labels": {"spam": {**RULE, "review": 1.5}}}, "less than or equal to 1"),
        ({"labels": {"spam": {**RULE, "review": float("nan")}}}, "finite"),
        ({"labels": {"spam": {**RULE, "threshold": 0.5}}}, "Extra inputs"),
        ({"labels": {}, "thresholds": {}}, "Extra inputs"),
        ({"labels": {}, "version": 2}, "Input should be 1"),
        ({"labels": {}, "risk": {"elevated": 60, "highest": 50}}, "highest must not be below elevated"),
    ],
)
def test_a_slip_of_the_pen_is_an_error(content: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Policy.model_validate({"name": "n", **content})


def test_the_shipped_policy_can_be_read_and_judges_shipped_labels_only() -> None:
    policy = Policy.from_toml(DEFAULT_POLICY.read_text(), source=str(DEFAULT_POLICY))
    assert set(policy.labels) <= set(BY_NAME)
    assert policy.labels["self_harm"].block is None, "the writer needs a person, not a wall"
    assert RiskBands().elevated <= RiskBands().highest
