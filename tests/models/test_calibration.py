"""Platt scaling finds the line that made the data, keeps the order, and never reverses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.calibration import Calibrator, expected_calibration_error, fit_platt, sigmoid
from models.card import Calibration


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -2.0), (2.5, 1.0)])
def test_the_line_that_made_the_data_is_found(slope: float, intercept: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, 40_000)
    truth = rng.random(len(logits)) < 1 / (1 + np.exp(-(slope * logits + intercept)))
    fitted = fit_platt(logits, truth)
    assert fitted.slope == pytest.approx(slope, rel=0.06)
    assert fitted.intercept == pytest.approx(intercept, abs=0.08)
    probabilities = Calibrator.of((fitted,)).apply(logits[:, None].astype(np.float32))[:, 0]
    assert expected_calibration_error(probabilities, truth) < 0.01


def test_uncalibrated_scores_have_a_larger_error_than_calibrated_ones() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 3, 5_000)
    truth = rng.random(len(logits)) < 1 / (1 + np.exp(-(0.3 * logits - 1)))
    before = expected_calibration_error(sigmoid(logits.astype(np.float32)), truth)
    after = expected_calibration_error(Calibrator.of((fit_platt(logits, truth),)).apply(logits[:, None].astype(np.float32))[:, 0], truth)
    assert before > 0.1 > 0.03 > after


def test_weights_count_as_repetitions() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 4_000)
    truth = rng.random(len(logits)) < 1 / (1 + np.exp(-logits))
    weights = np.where(truth, 1.0, 3.0)
    repeated = np.concatenate([logits[truth], np.repeat(logits[~truth], 3)])
    expected = fit_platt(repeated, np.concatenate([truth[truth], np.repeat(truth[~truth], 3)]))
    found = fit_platt(logits, truth, weights)
    assert found.slope == pytest.approx(expected.slope, rel=0.01)
    assert found.intercept == pytest.approx(expected.intercept, abs=0.02)


def test_scores_that_run_against_the_truth_are_flattened_and_not_reversed() -> None:
    logits = np.linspace(-3, 3, 500)
    assert 0 < fit_platt(logits, logits < 0).slope < 0.01


def test_cleanly_parted_classes_stay_finite_and_one_class_is_left_as_it_is() -> None:
    logits = np.concatenate([np.full(50, -2.0), np.full(50, 2.0)])
    parted = fit_platt(logits, logits > 0)
    assert np.isfinite([parted.slope, parted.intercept]).all()
    assert fit_platt(logits, np.ones(100, bool)) == Calibration()


@settings(max_examples=100, deadline=None)
@given(arrays(np.float32, st.integers(2, 50), elements=st.floats(-100, 100, width=32)), st.floats(0.01, 5), st.floats(-5, 5))
def test_calibration_keeps_the_order_and_stays_a_probability(logits: np.ndarray, slope: float, intercept: float) -> None:
    p = Calibrator.of((Calibration(slope=slope, intercept=intercept),)).apply(np.sort(logits)[:, None])[:, 0]
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()
