from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import RawRecord
from schemas.policy import Policy
from stream.errors import StreamError, UsageError
from stream.replay.budget import parse
from stream.replay.decisions import decide_all
from stream.replay.expect import DAY_MS, Units, ratio
from stream.replay.fit import fit
from stream.replay.policies import fit_policy, to_toml
from stream.replay.results import Results
from stream.replay.verdicts import Verdicts
from stream.settings import load

WORDS = ["you", "fool", "cheap", "pills", "now", "thanks", "friend", "see", "free", "never", "idiot", "offer", "buy", "choke"]
quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DAYS = 8


@pytest.fixture(scope="module")
def results(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """1,600 messages over eight days."""
    chance = np.random.default_rng(7)
    held: dict[int, list[RawRecord]] = {0: [], 1: []}
    for number in range(1_600):
        text = " ".join(chance.choice(WORDS, 4))
        event = kit.message(number * DAYS * 1440 // 1_600, text) | {"id": f"m{number}"}
        records = held[number % 2]
        records.append(kit.record(event, partition=number % 2, offset=len(records)))
    judge = kit.TinyJudge(kind="message", policy=kit.policy(harassment=0.6, spam=0.7))
    whole: Results = kit.run_all(kit.ListSource(held), judge, tmp_path_factory.mktemp("run"))
    return whole


@pytest.fixture(scope="module")
def verdicts(kit: Any) -> Verdicts:
    """On every third message, true as chance has it."""
    chance = np.random.default_rng(8)
    return Verdicts.of([[
        kit.record({
            "id": f"v{number}{label}", "event_id": f"m{number}", "label": label, "source": "test", "occurred_at": "2026-01-20T00:00:00Z",
            "outcome": "confirmed" if chance.random() < 0.4 else "overturned",
        }, topic="verdicts", offset=number)
        for number in range(0, 1_600, 3) for label in ("harassment", "spam")
    ]])


def reviews_of(results: Results, policy: Policy) -> int:
    labels = results.manifest.labels
    return sum(int((decide_all(chunk.rows["scores"], labels, policy).decision == 1).sum()) for chunk in results.chunks())


@quick
@given(at_most=st.integers(0, 4_000), judged=st.booleans())
def test_false_positives_stay_within_their_budget(
    at_most: int, judged: bool, results: Results, verdicts: Verdicts, kit: Any
) -> None:
    base = kit.policy(harassment=0.5, spam=0.5)
    budgets = parse([f"at most {at_most} false positives in 10,000"], results.manifest.labels)
    found = fit(results, base, budgets, name="f", verdicts=verdicts if judged else None)
    assert len(found.promises) == len(found.policy.labels)
    assert all(promise.value <= at_most + 1e-6 for promise in found.promises.values())


@quick
@given(a_day=st.integers(0, 300))
def test_reviews_stay_within_their_budget_and_use_it(a_day: int, results: Results, kit: Any) -> None:
    base = kit.policy(harassment=0.5, spam=0.5)
    found = fit(results, base, parse([f"{a_day} reviews a day"], results.manifest.labels), name="f")
    days = DAYS
    assert reviews_of(results, found.policy) <= a_day * days
    assert found.promises[f"{a_day} reviews a day"].value <= a_day
    # A budget that is not used up leaves out no event that it had room for: the next lower threshold would exceed it.
    lowest = min((rule.review for rule in found.policy.labels.values()), default=1.0)
    if a_day > 0 and lowest > 0:
        looser = fit(results, base, parse([f"{a_day * 2} reviews a day"], results.manifest.labels), name="f")
        assert min(rule.review for rule in looser.policy.labels.values()) <= lowest


@quick
@given(at_least=st.integers(1, 100).map(lambda value: value / 100), judged=st.booleans())
def test_recall_reaches_its_budget_with_the_highest_threshold(
    at_least: float, judged: bool, results: Results, verdicts: Verdicts, kit: Any
) -> None:
    base = kit.policy(harassment=0.5, spam=0.5)
    budgets = parse([f"recall {at_least} on spam"], results.manifest.labels)
    found = fit(results, base, budgets, name="f", verdicts=verdicts if judged else None)
    assert found.promises[budgets[0].text].value >= at_least - 1e-9
    assert found.policy.labels["harassment"] == base.labels["harassment"]


def test_money_flags_what_is_worth_more_than_its_review(results: Results, kit: Any) -> None:
    budgets = parse(["a review costs 2, a miss costs 10 on spam"], results.manifest.labels)
    found = fit(results, kit.policy(spam=0.9), budgets, name="f")
    assert found.policy.labels["spam"].review == pytest.approx(0.2, abs=0.02)


def test_budgets_that_contradict_each_other_are_said_so(results: Results, kit: Any) -> None:
    base = kit.policy(harassment=0.5, spam=0.5)
    both = parse(["recall 0.99 on spam", "1 false positive in 10000 on spam"], results.manifest.labels)
    with pytest.raises(StreamError, match="give one of them up"):
        fit(results, base, both, name="f")
    with pytest.raises(StreamError, match="held by other budgets alone exceed it"):
        fit(results, base, parse(["recall 1 on spam", "1 review a day"], results.manifest.labels), name="f")


@pytest.mark.parametrize(
    "word", ["", "many reviews", "5 false positives in 0", "recall 2 on spam", "recall 0.5 on hate", "recall 0.5 on spams"]
)
def test_budgets_that_are_not_understood_are_wrong_use(word: str, results: Results) -> None:
    with pytest.raises(UsageError):
        parse([word], results.manifest.labels)


def test_a_fitted_policy_is_written_with_what_it_promises_and_reads_back(results: Results, tmp_path: Path) -> None:
    out = tmp_path / "fitted.toml"
    found = fit_policy(load(environ={}), ["50 reviews a day", "recall 0.5 on spam"], run=results.folder, out=out, name='the "new" one')
    text = out.read_text()
    assert Policy.from_toml(text, source="test") == found.policy
    assert found.policy.digest == Policy.from_toml(text, source="test").digest
    assert "# Budget: 50 reviews a day: reviews a day" in text
    json.dumps(found.to_json())
    interval = found.queue[0].interval
    assert interval is not None
    assert interval[0] < found.queue[0].value < interval[1]


def test_verdicts_of_a_topic_behind_a_prefix_are_those_of_a_file(run: Any, embedded: str, results: Results, tmp_path: Path) -> None:
    said = tmp_path / "said.jsonl"
    said.write_text("".join(
        json.dumps({
            "id": f"v{number}", "event_id": f"m{number}", "label": "spam", "source": "test", "occurred_at": "2026-01-20T00:00:00Z",
            "outcome": "confirmed" if number % 5 else "overturned",
        }) + "\n"
        for number in range(0, 1_600, 2)
    ))
    shared = ("--broker", embedded, "--prefix", "p-")
    assert run("topics", "create", *shared)[0] == run("send", "verdicts", str(said), *shared)[0] == 0

    def fitted(*options: str) -> Any:
        code, out, error = run("policy", "fit", str(results.folder), "--budget", "recall 0.5 on spam", "--json", *options)
        assert code == 0, error
        return json.loads(out)

    assert fitted("--verdicts", "verdicts", *shared) == fitted("--verdicts", str(said)) != fitted()


@given(
    name=st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable() or "\x00" <= text[0] < " "),
    review=st.floats(0, 1), block=st.none() | st.floats(0, 1),
)
def test_any_policy_reads_back_from_its_file(name: str, review: float, block: float | None, kit: Any) -> None:
    rule = {"review": review, "block": None if block is None else max(block, review), "severity": "low"}
    policy = Policy.model_validate({"name": name, "labels": {"spam": rule}})
    assert Policy.from_toml(to_toml(policy, comments=["a\nb"]), source="test") == policy


def test_the_interval_holds_the_next_week_as_often_as_it_says() -> None:
    chance = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        days = chance.poisson(chance.gamma(20, 2.0, 14)).astype(np.float64)
        seen = Units.of(0, 7 * DAY_MS - 1)
        above, below = np.zeros(seen.slots), np.zeros(seen.slots)
        above[:7], below[:7] = days[:7], 1.0
        interval = ratio("reviews a day", above, below, seen).interval
        assert interval is not None
        held += interval[0] <= days[7:].mean() <= interval[1]
    assert 0.92 <= held / 400 <= 0.98


def test_what_was_never_seen_is_not_promised_never_to_come() -> None:
    chance = np.random.default_rng(4)
    seen = Units.of(0, 7 * DAY_MS - 1)
    below = np.zeros(seen.slots)
    below[:7] = 1.0
    none = ratio("reviews a day", np.zeros(seen.slots), below, seen).interval
    assert none is not None
    # Of rates at which nothing in a week is no surprise, the next week's mean lies within.
    assert (chance.poisson(1.0, 2_000) / 7 <= none[1]).mean() > 0.95
    always = ratio("recall", below * 20, below * 20, seen, share=True).interval
    assert always is not None
    assert always[0] < 1.0 == always[1]


def test_large_figures_are_written_out() -> None:
    seen = Units.of(0, 7 * DAY_MS - 1)
    assert str(ratio("cost a day", np.full(seen.slots, 123_456.0), np.ones(seen.slots), seen)).startswith("cost a day 123,456, expected ")


def test_a_budget_of_money_promises_what_a_day_costs(results: Results, kit: Any) -> None:
    base = kit.policy(harassment=0.6, spam=0.7)
    found = fit(results, base, parse(["a review costs 2, a miss costs 5"], results.manifest.labels), name="money")
    promise = found.promises["a review costs 2, a miss costs 5"]
    scores = np.concatenate([chunk.rows["scores"] for chunk in results.chunks()]).astype(np.float64)
    scores[scores > 1_000_000] = np.nan
    cost = 0.0
    for column, label in enumerate(results.manifest.labels):
        flagged = scores[:, column] / 1e6 >= found.policy.labels[label].review
        cost += 2 * flagged.sum() + 5 * np.nansum(scores[~flagged, column] / 1e6)
    assert promise.name == "cost a day"
    assert promise.value == pytest.approx(cost / DAYS, rel=1e-3)
    assert promise.interval is not None
    assert promise.interval[0] < promise.value < promise.interval[1]


def test_too_little_time_gives_no_interval() -> None:
    seen = Units.of(0, 3_600_000)
    assert ratio("reviews a day", np.ones(seen.slots), np.ones(seen.slots), seen).interval is None
