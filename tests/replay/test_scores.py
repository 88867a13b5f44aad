from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.decide import decide
from schemas.flag import DECISIONS
from schemas.policy import LabelRule, Policy
from stream.replay.decisions import decide_all, smallest
from stream.replay.record import MILLION, UNSCORED, micro

LABELS = ("harassment", "spam", "hate")
probabilities = st.floats(0, 1, width=32)
rounded = st.integers(0, MILLION).map(lambda value: value / MILLION)


@given(st.lists(probabilities, min_size=1))
def test_a_score_in_millionths_is_the_score_that_an_agent_rounds_to(scores: list[float]) -> None:
    column = np.array(scores, np.float32)
    assert (micro(column) / MILLION).tolist() == [round(score, 6) for score in column.tolist()]


def test_what_is_no_number_is_kept_as_unscored() -> None:
    assert micro(np.array([np.nan, np.inf, 0.25], np.float32)).tolist() == [UNSCORED, UNSCORED, 250_000]


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    rules = {}
    for label in draw(st.sets(st.sampled_from(LABELS))):
        review = draw(st.one_of(st.floats(0, 1), rounded))
        block = draw(st.none() | st.floats(review, 1))
        rules[label] = LabelRule(review=review, block=block, severity="low")
    return Policy(name="drawn", labels=rules)


@given(policies(), st.lists(st.tuples(rounded, rounded, rounded), max_size=20))
def test_deciding_on_many_scores_is_deciding_on_each(policy: Policy, scores: list[tuple[float, float, float]]) -> None:
    stored = np.rint(np.array(scores, np.float64).reshape(-1, 3) * MILLION).astype(np.uint32)
    decided = decide_all(stored, LABELS, policy)
    for row, decision, labels in zip(scores, decided.decision.tolist(), decided.labels, strict=True):
        alone = decide(dict(zip(LABELS, row, strict=True)), policy)
        assert DECISIONS[decision] == alone.decision
        assert {label for label, hit in zip(LABELS, labels, strict=True) if hit} == {label.name for label in alone.labels}


@given(st.one_of(st.floats(0, 1), rounded))
def test_smallest_is_the_first_score_at_or_above_a_threshold(threshold: float) -> None:
    score = smallest(threshold)
    assert score / MILLION >= threshold
    assert score == 0 or (score - 1) / MILLION < threshold


def test_rows_hold_what_the_flags_say(kit: Any, fresh: Callable[[], Path]) -> None:
    judge = kit.TinyJudge(kind="message", policy=kit.policy(harassment=0.6, spam=0.7))
    words = ["you fool", "cheap pills now", "choke", "thanks friend", "", "idiot offer buy"]
    events = [kit.message(number, words[number % 6], tenant=f"t{number % 2}", channel_id="general") for number in range(300)]
    results = kit.run_all(kit.ListSource({0: [kit.record(event, offset=place) for place, event in enumerate(events)]}), judge, fresh())
    results.write_flags(results.folder / "all.jsonl")
    flags = {flag.event.offset: flag for flag in kit.flags_of(results.folder / "all.jsonl")}
    (chunk,) = results.chunks()
    decided = decide_all(chunk.rows["scores"], results.manifest.labels, judge.policy)
    assert len(flags) > 10
    for row, decision, labels in zip(chunk.rows, decided.decision.tolist(), decided.labels, strict=True):
        flag = flags.get(int(row["offset"]))
        assert DECISIONS[decision] == (flag.decision if flag else "allow")
        said = {label.name: label.score for label in flag.labels} if flag else {}
        held = zip(results.manifest.labels, row["scores"].tolist(), labels, strict=True)
        assert said == {name: score / MILLION for name, score, hit in held if hit}
        assert results.names["tenant"][row["tenant"]] == f"t{row['offset'] % 2}"
    assert (chunk.rows["scores"][2] == UNSCORED).all()
