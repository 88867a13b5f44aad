"""The figures agree with scikit-learn where it is installed, and with values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import metrics

_CASES = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=4, max_size=40).filter(
    lambda rows: 0 < sum(t for t, _ in rows) < len(rows)
)


@settings(max_examples=60, deadline=None)
@given(_CASES)
def test_figures_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    peer = pytest.importorskip("sklearn.metrics")
    truth, scores = np.array([t for t, _ in rows]), np.array([s / 6 for _, s in rows])
    assert metrics.auc(truth, scores) == pytest.approx(peer.roc_auc_score(truth, scores))
    assert metrics.average_precision(truth, scores) == pytest.approx(peer.average_precision_score(truth, scores))
    assert metrics.macro_f1(truth, scores >= 0.5) == pytest.approx(peer.f1_score(truth, scores >= 0.5, average="macro"))


@settings(max_examples=60, deadline=None)
@given(_CASES)
def test_no_line_gives_a_better_macro_f1_than_the_best_one(rows: list[tuple[bool, int]]) -> None:
    truth, scores = np.array([t for t, _ in rows]), np.array([s / 6 for _, s in rows])
    best = metrics.macro_f1(truth, scores >= metrics.best_threshold(truth, scores))
    assert all(best >= metrics.macro_f1(truth, scores >= line) - 1e-12 for line in np.unique(scores))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=60), st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]))
def test_a_threshold_from_a_budget_keeps_it(values: list[int], rate: float) -> None:
    negatives = np.array(values) / 8
    line = metrics.threshold_at(negatives, rate)
    assert (negatives >= line).mean() <= rate
    if rate == 1.0:
        assert (negatives >= line).all()


def test_recall_at_a_budget_by_hand() -> None:
    truth = np.array([True, True, False, False, False, False])
    scores = np.array([0.9, 0.4, 0.5, 0.3, 0.2, 0.1])
    assert metrics.recall_at(truth, scores, 0.0) == 0.5
    assert metrics.recall_at(truth, scores, 0.25) == 1.0


def test_a_figure_without_one_of_the_classes_is_not_a_number() -> None:
    nothing = np.zeros(3, bool)
    assert np.isnan(metrics.auc(nothing, np.arange(3.0)))
    assert np.isnan(metrics.average_precision(nothing, np.arange(3.0)))
    assert np.isnan(metrics.recall_at(nothing, np.arange(3.0), 0.1))


def test_the_bootstrap_interval_holds_the_figure_and_narrows_with_more_texts() -> None:
    rng = np.random.default_rng(0)

    def width(size: int) -> float:
        truth = rng.random(size) < 0.3
        scores = truth + rng.normal(0, 1, size)
        low, high = metrics.bootstrap(metrics.auc, truth, scores, rounds=100)
        assert low <= metrics.auc(truth, scores) <= high
        return high - low

    assert width(4_000) < width(200) / 2
