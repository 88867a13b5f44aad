from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import RawRecord, encode
from schemas.flag import Flag
from stream.errors import UsageError
from stream.replay.compare import compare
from stream.replay.policies import diff_policies
from stream.replay.published import Published
from stream.replay.results import Results
from stream.replay.sides import by_flags, by_other_model, by_policy, what

WORDS = ["you fool", "cheap pills now", "choke", "thanks friend", "", "idiot offer buy", "see you", "are you free", "now or never"]
quick = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
thresholds = st.integers(1, 999_999).map(lambda value: value / 1_000_000)


@pytest.fixture(scope="module")
def results(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """900 messages in three parts, judged by two models."""
    held: dict[int, list[RawRecord]] = {0: [], 1: [], 2: []}
    for number in range(900):
        text = " ".join(WORDS[(number * step) % len(WORDS)] for step in (1, 5, 7)) + " a" * (number % 11)
        event = kit.message(number, text, tenant=f"tenant {number % 4}", channel_id="general" if number % 2 else None)
        records = held[number % 3]
        records.append(kit.record(event, partition=number % 3, offset=len(records)))
    judge = kit.TinyJudge(kind="message", policy=kit.policy(harassment=0.6, spam=0.7))
    other = kit.replace(judge, seed=5, model_digest="other")
    whole: Results = kit.run_all(kit.ListSource(held), judge, tmp_path_factory.mktemp("run"), against=other)
    assert whole.count > 500
    return whole


@quick
@given(harassment=thresholds, spam=thresholds)
def test_a_policy_against_itself_changes_nothing(harassment: float, spam: float, results: Results, kit: Any) -> None:
    side = by_policy(kit.policy(harassment=harassment, spam=spam), results.manifest.labels)
    diff = compare(results, side, side)
    found = diff.to_json()
    assert (found["newly_flagged"], found["newly_cleared"], found["changed"], found["relabelled"]) == (0, 0, 0, 0)
    assert found["same"] == results.count
    assert not found["transitions"]
    assert not any(diff.examples.values())
    assert found["reviews_per_day"]["before"] == found["reviews_per_day"]["after"]


@quick
@given(first=st.tuples(thresholds, thresholds), second=st.tuples(thresholds, thresholds))
def test_the_other_way_round_flags_become_clearances(
    first: tuple[float, float], second: tuple[float, float], results: Results, kit: Any
) -> None:
    one, two = (by_policy(kit.policy(harassment=h, spam=s), results.manifest.labels) for h, s in (first, second))
    there, back = compare(results, one, two), compare(results, two, one)
    assert there.counts["newly_flagged"] == back.counts["newly_cleared"]
    assert there.counts["newly_cleared"] == back.counts["newly_flagged"]
    assert there.counts["changed"] == back.counts["changed"]
    assert there.counts["same"] == back.counts["same"]


def test_segments_and_transitions_add_up_to_the_whole(results: Results, kit: Any) -> None:
    labels = results.manifest.labels
    diff = compare(results, by_policy(kit.policy(harassment=0.9), labels), by_policy(kit.policy(harassment=0.3, spam=0.8), labels))
    assert diff.counts["newly_flagged"] > 0
    for name in ("tenant", "channel"):
        rows = np.array(list(diff.groups[name].values()))
        assert rows[:, 0].sum() == results.count
        assert rows[:, 3].sum() == diff.counts["newly_flagged"]
        assert rows[:, 4].sum() == diff.counts["newly_cleared"]
    assert set(diff.groups["tenant"]) == {f"tenant {number}" for number in range(4)}
    assert sum(diff.decisions.values()) == sum(diff.counts[kind] for kind in ("newly_flagged", "newly_cleared", "changed"))
    examples = diff.examples["newly_flagged"]
    assert 0 < len(examples) <= 8
    assert all(one.before == "allow" and one.after != "allow" for one in examples)


def test_another_model_decides_by_its_own_scores(results: Results, kit: Any) -> None:
    policy = kit.policy(harassment=0.6, spam=0.7)
    mine, other = by_policy(policy, results.manifest.labels), by_other_model(policy, results.manifest.against_labels, name="other")
    diff = compare(results, other, mine)
    assert diff.counts["newly_flagged"] + diff.counts["newly_cleared"] > 0
    flagged = sum(int((other.decide(chunk).decision > 0).sum()) for chunk in results.chunks())
    after = results.tally.flags
    assert after - flagged == diff.counts["newly_flagged"] - diff.counts["newly_cleared"]


def live(results: Results, folder: Path, kit: Any) -> list[Flag]:
    results.write_flags(folder / "flags.jsonl")
    return [flag.model_copy(update={"mode": "live"}) for flag in kit.flags_of(folder / "flags.jsonl")]


def published(flags: list[Flag], kit: Any, *, topic: str | None = "messages") -> Published:
    records = [kit.record(json.loads(encode(flag)), topic="flags", offset=place) for place, flag in enumerate(flags)]
    return Published.of([records, [kit.record(b"no flag")]], kind="message", topic=topic)


@pytest.mark.parametrize("topic", ["messages", None])
def test_published_flags_of_the_same_model_and_policy_are_the_same(topic: str | None, results: Results, kit: Any, tmp_path: Path) -> None:
    side = by_policy(kit.policy(harassment=0.6, spam=0.7), results.manifest.labels)
    flags = live(results, tmp_path, kit)
    diff = compare(results, by_flags(published(flags, kit, topic=topic)), side)
    assert diff.counts["same"] == results.count
    fewer = compare(results, by_flags(published(flags[5:], kit, topic=topic)), side)
    assert (fewer.counts["newly_flagged"], fewer.counts["newly_cleared"]) == (5, 0)


def test_of_several_published_flags_of_an_event_the_latest_counts(results: Results, kit: Any, tmp_path: Path) -> None:
    flags = live(results, tmp_path, kit)
    reviewed = next(flag for flag in flags if flag.decision == "review")
    later = reviewed.model_copy(update={"decision": "block", "flagged_at": reviewed.flagged_at.replace(year=2030)})
    side = by_policy(kit.policy(harassment=0.6, spam=0.7), results.manifest.labels)
    diff = compare(results, by_flags(published([later, *flags], kit)), side)
    assert diff.decisions == {"block → review": 1}
    replayed = later.model_copy(update={"mode": "replay", "flagged_at": reviewed.flagged_at.replace(year=2031)})
    elsewhere = later.model_copy(update={"event": later.event.model_copy(update={"topic": "other"})})
    assert not compare(results, by_flags(published([replayed, elsewhere, *flags], kit)), side).decisions


def test_flags_of_an_earlier_life_of_the_topic_are_not_taken_for_this_one(results: Results, kit: Any, tmp_path: Path) -> None:
    flags = live(results, tmp_path, kit)
    stale = [flag.model_copy(update={"event": flag.event.model_copy(update={"id": f"old-{flag.event.id}"})}) for flag in flags]
    side = by_policy(kit.policy(harassment=0.6, spam=0.7), results.manifest.labels)
    assert compare(results, by_flags(published(stale, kit)), side).counts["newly_flagged"] == len(flags)


def test_no_published_flags_at_all_make_every_flag_new(results: Results, kit: Any) -> None:
    side = by_policy(kit.policy(harassment=0.6, spam=0.7), results.manifest.labels)
    assert compare(results, by_flags(published([], kit)), side).counts["newly_flagged"] == results.tally.flags


def test_policy_diff_names_the_rules_that_differ_and_their_effect(results: Results, kit: Any) -> None:
    one, two = kit.policy(harassment=0.6, spam=0.7), kit.policy(harassment=0.6, spam=0.05, hate=0.5)
    found = diff_policies(one, two, run=results.folder).to_json()
    assert set(found["rules"]) == {"spam", "hate"}
    assert found["rules"]["spam"]["review"] == [0.7, 0.05]
    assert found["rules"]["hate"]["severity"] == [None, "medium"]
    assert found["effect"]["newly_flagged"] > 0
    assert diff_policies(one, one, run=results.folder).to_json()["rules"] == {}


def test_what_to_compare_with_is_told_by_what_is_there(tmp_path: Path, fresh: Callable[[], Path]) -> None:
    (tmp_path / "policy.toml").write_text("")
    assert [what(str(path)) for path in (tmp_path, tmp_path / "policy.toml", "flags")] == ["model", "policy", "flags"]
    with pytest.raises(UsageError, match="neither a policy file"):
        what(str(tmp_path / "none"))
