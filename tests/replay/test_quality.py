from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import auc, average_precision
from stream.errors import UsageError
from stream.replay.evaluate import evaluate
from stream.replay.quality import Known, quality
from stream.replay.verdicts import Verdicts, read_verdicts
from stream.settings import load


def known(scores: list[int], truth: list[bool], *, days: list[int] | None = None) -> Known:
    return Known(
        label="spam", scores=np.array(scores, np.uint32), truth=np.array(truth, np.bool_),
        days=np.array(days or [0] * len(scores), np.int64), unknown=3, unknown_flagged=1,
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20).map(lambda value: value * 50_000), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 1_000_000),
)
def test_figures_agree_with_their_definitions(events: list[tuple[int, bool]], threshold: int) -> None:
    scores, truth = [score for score, _ in events], [true for _, true in events]
    found = quality(known(scores, truth), threshold).figures
    flagged = [true for score, true in events if score >= threshold]
    assert found["precision"] == (pytest.approx(sum(flagged) / len(flagged)) if flagged else None)
    assert found["recall"] == (pytest.approx(sum(flagged) / sum(truth)) if any(truth) else None)
    yes, values = np.array(truth), np.array(scores, np.float64)
    assert found["average_precision"] == (pytest.approx(average_precision(yes, values)) if any(truth) else None)
    assert found["auc"] == (pytest.approx(auc(yes, values)) if any(truth) and not all(truth) else None)


def test_intervals_enclose_the_figure_and_narrow_with_more_events() -> None:
    chance = np.random.default_rng(1)

    def width(count: int) -> float:
        truth = chance.random(count) < 0.3
        scores = np.clip(chance.normal(0.4 + 0.2 * truth, 0.15), 0, 1) * 1_000_000
        found = quality(known(scores.astype(int).tolist(), truth.tolist()), 500_000)
        for name in ("precision", "recall", "auc", "average_precision"):
            interval, value = found.intervals[name], found.figures[name]
            assert interval is not None
            assert value is not None
            assert interval[0] < value < interval[1]
        low, high = found.intervals["auc"] or (0, 0)
        return high - low

    assert width(4_000) < width(200) / 2


def test_precision_at_k_is_taken_day_by_day() -> None:
    scores = [900_000, 800_000, 100_000, 900_000, 10_000]
    found = quality(known(scores, [True, False, True, False, True], days=[0, 0, 0, 1, 1]), 500_000, at=(1, 2))
    assert found.precision_at == {"precision_at_1_a_day": 0.5, "precision_at_2_a_day": 0.5}


def verdict(number: int, event: str, outcome: str, *, label: str = "spam", at: str = "2026-01-06T00:00:00Z", **more: Any) -> dict[str, Any]:
    return {"id": f"v{number}", "event_id": event, "label": label, "outcome": outcome, "source": "test", "occurred_at": at, **more}


def test_the_latest_verdict_counts_and_a_superseded_one_does_not(kit: Any) -> None:
    from models.entry import key64

    read = [
        verdict(1, "a", "overturned", at="2026-01-08T00:00:00Z"), verdict(2, "a", "confirmed"),
        verdict(3, "b", "confirmed"), verdict(4, "b", "confirmed", label="harassment", supersedes="v3"),
        verdict(5, "c", "confirmed"), verdict(6, "d", "confirmed", at="2026-03-01T00:00:00Z"),
    ]
    events = np.array([key64(name) for name in "abcde"], np.uint64)
    records = [[kit.record(one, topic="verdicts") for one in read], [kit.record(b"none", topic="verdicts")]]
    whole = Verdicts.of(records)
    assert whole.truth("spam", events).tolist() == [0, -1, 1, 1, -1]
    assert whole.truth("harassment", events).tolist() == [-1, 1, -1, -1, -1]
    assert whole.truth("hate", events).tolist() == [-1] * 5
    assert (whole.count, whole.unreadable) == (6, 1)
    early = Verdicts.of(records, until_ms=int(kit.START.replace(day=7).timestamp() * 1000))
    assert early.truth("spam", events).tolist() == [1, -1, 1, -1, -1]


def test_events_without_a_verdict_are_unknown_and_never_negative(kit: Any, tmp_path: Path) -> None:
    policy = kit.policy(harassment=0.6, spam=0.7)
    words = ["cheap pills now", "you fool", "thanks friend", "see you"]
    records = [kit.record(kit.message(number, words[number % 4], tenant=f"t{number % 2}"), offset=number) for number in range(400)]
    results = kit.run_all(kit.ListSource({0: records}), kit.TinyJudge(kind="message", policy=policy), tmp_path / "run")
    read = [verdict(number, f"m{number}", "confirmed" if number % 4 < 2 else "overturned") for number in range(100)]
    found = evaluate(results, Verdicts.of([[kit.record(one) for one in read]]), policy)
    (one,) = found.qualities
    assert (one.label, one.known, one.positives, one.unknown) == ("spam", 100, 50, 300)
    assert set(found.segments) == {"tenant"}
    counts = [labels["spam"] for labels in found.segments["tenant"].values()]
    assert sum(hits + missed for hits, _, missed in counts) == 50
    nothing = evaluate(results, Verdicts.of([]), policy)
    assert nothing.qualities == ()
    assert nothing.notes == ("no event of this range has a verdict: nothing can be said of quality",)


def test_verdicts_on_flags_only_are_named_as_such(kit: Any, tmp_path: Path) -> None:
    policy = kit.policy(harassment=0.6, spam=0.7)
    words = ["cheap pills now", "you fool", "thanks friend", "see you", "idiot offer buy"]
    records = [kit.record(kit.message(number, words[number % 5]), offset=number) for number in range(500)]
    results = kit.run_all(kit.ListSource({0: records}), kit.TinyJudge(kind="message", policy=policy), tmp_path / "run")
    results.write_flags(tmp_path / "flags.jsonl")
    flagged = [flag for flag in kit.flags_of(tmp_path / "flags.jsonl") for label in flag.labels if label.name == "spam"]
    assert flagged
    said = [verdict(n, flag.event.id, "confirmed" if n % 2 else "overturned") for n, flag in enumerate(flagged)]
    found = evaluate(results, Verdicts.of([[kit.record(one) for one in said]]), policy)
    assert any("is lower in truth" in note for note in found.notes)


def test_a_file_of_verdicts_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    settings = load(environ={})
    with pytest.raises(UsageError, match="no such file"):
        read_verdicts(settings, str(tmp_path / "none.jsonl"))
    (tmp_path / "bad.jsonl").write_text("{}\n{}\n")
    with pytest.raises(UsageError, match="none of its 2 records is a verdict"):
        read_verdicts(settings, str(tmp_path / "bad.jsonl"))
