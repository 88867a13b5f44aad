from __future__ import annotations

import json
import shutil
from math import nan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import ARTIFACTS, Bundle, file_sha256
from models.entry import Entry
from models.errors import BundleError
from models.features import FEATURES
from models.fraud import FraudClassifier
from models.fraud_reasons import MAX_REASONS, REASON_CODES, reasons_of
from models.history import DAY_MS, EMPTY, HOUR_MS, History
from models.terminal import Terminal

EUR = 1
NOON = 1_533_729_600_000


@pytest.fixture(scope="module")
def classifier() -> FraudClassifier:
    return FraudClassifier.load(Bundle.open(ARTIFACTS / "fraud"))


@pytest.fixture(scope="module")
def habit() -> History:
    """A card that pays about 20 euros twice a day, for 40 days, until an hour before noon."""
    history = EMPTY
    for half_day in range(80, 0, -1):
        amount = 2_000 + (half_day * 137) % 1_000
        history = history.add(Entry(NOON - HOUR_MS - half_day * DAY_MS // 2, half_day, amount, EUR, half_day % 9 + 1))
    return history


def rows(classifier: FraudClassifier, count: int, *, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    chance = np.random.default_rng(seed)
    made = np.exp(chance.normal(1.0, 2.0, (count, len(classifier.features)))).astype(np.float32)
    made[chance.random(made.shape) < 0.1] = np.nan
    return made


def test_ten_times_the_usual_amount_is_likelier_fraud_than_the_usual(classifier: FraudClassifier, habit: History) -> None:
    usual, tenfold = (classifier.vector(habit, Entry(NOON, 1_000, amount, EUR, 3), None) for amount in (2_300, 23_000))
    probabilities = classifier.score([usual, tenfold])
    assert probabilities[0] < 0.01
    assert probabilities[1] > 0.8


def test_scores_are_the_same_alone_and_in_any_batch(classifier: FraudClassifier) -> None:
    made = rows(classifier, 300)
    together = classifier.score(made)
    alone = np.concatenate([classifier.score(made[place : place + 1]) for place in range(len(made))])
    assert np.array_equal(together, alone)
    assert np.array_equal(classifier.score(made[100:137]), together[100:137])


@pytest.mark.parametrize("amount", [2_300, 12_000])
def test_known_frauds_at_a_terminal_make_its_next_transaction_likelier_fraud(habit: History, amount: int) -> None:
    both = FraudClassifier.load(Bundle.open(ARTIFACTS / "fraud"))
    clean = hurt = Terminal()
    for days in range(20, 0, -1):
        entry = Entry(NOON - days * DAY_MS, days, 2_500, EUR)
        clean, hurt = clean.add(entry, usual_minor=2_400), hurt.add(entry, usual_minor=2_400)
        if 8 <= days <= 12:
            hurt = hurt.judge(tx=days, at_ms=entry.at_ms, known_ms=entry.at_ms + 7 * DAY_MS, fraud=True)
    entry = Entry(NOON, 10_000, amount, EUR, 3)
    unknown, good, bad = both.score([both.vector(habit, entry, terminal) for terminal in (None, clean, hurt)])
    assert bad > 0.9
    assert good < bad
    assert unknown < bad
    assert any(reason.code == "known_fraud_place" for reason in both.reasons(both.vector(habit, entry, hurt)))


def test_no_rows_give_no_scores(classifier: FraudClassifier) -> None:
    assert classifier.score(np.empty((0, len(classifier.features)), np.float32)).shape == (0,)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=64, max_size=64))
def test_any_row_gets_a_probability(classifier: FraudClassifier, values: list[float]) -> None:
    probability = classifier.score([values[: len(classifier.features)]])
    assert 0.0 <= probability[0] <= 1.0


def altered(tmp_path: Path, **changes: object) -> Bundle:
    folder = tmp_path / "fraud"
    shutil.copytree(ARTIFACTS / "fraud", folder)
    card = json.loads((folder / "card.json").read_text()) | changes
    (folder / "card.json").write_text(json.dumps(card))
    return Bundle.open(folder)


def test_a_bundle_with_an_unknown_feature_fails_at_load(tmp_path: Path, classifier: FraudClassifier) -> None:
    bundle = altered(tmp_path, features=[*classifier.features[:-1], "card_horoscope"])
    with pytest.raises(BundleError, match="unknown feature 'card_horoscope'"):
        FraudClassifier.load(bundle)


def test_a_bundle_with_too_few_features_fails_at_load(tmp_path: Path, classifier: FraudClassifier) -> None:
    bundle = altered(tmp_path, features=list(classifier.features[:-1]))
    with pytest.raises(BundleError, match="takes other inputs"):
        FraudClassifier.load(bundle)


def test_a_bundle_for_another_label_fails_at_load(tmp_path: Path) -> None:
    bundle = altered(tmp_path, outputs=[{"label": "spam"}])
    with pytest.raises(BundleError, match="one output 'fraud'"):
        FraudClassifier.load(bundle)


def test_a_file_that_is_no_model_fails_at_load(tmp_path: Path) -> None:
    folder = tmp_path / "fraud"
    shutil.copytree(ARTIFACTS / "fraud", folder)
    (folder / "model.onnx").write_bytes(b"not a model")
    card = json.loads((folder / "card.json").read_text())
    card["files"]["model.onnx"] = file_sha256(folder / "model.onnx")
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match=r"model\.onnx: "):
        FraudClassifier.load(Bundle.open(folder))


def test_reasons_say_what_is_unusual_in_plain_words(classifier: FraudClassifier, habit: History) -> None:
    for minutes in range(4, 0, -1):
        habit = habit.add(Entry(NOON - minutes * 60_000, 2_000 + minutes, 2_500, EUR, 3))
    reasons = classifier.reasons(classifier.vector(habit, Entry(NOON, 9_999, 30_000, EUR, 3), None))
    texts = {reason.code: reason.text for reason in reasons}
    assert texts["amount_over_usual"].startswith("amount 12 times the card's usual")
    assert texts["velocity_10m"] == "5 transactions in 10 minutes; card's usual is 2.1 a day"
    assert len(reasons) <= MAX_REASONS


CASES: dict[str, dict[str, float]] = {
    "velocity_10m": {"card_count_10m": 4.0, "card_per_day": 2.0},
    "velocity_1h": {"card_count_1h": 5.0},
    "velocity_1d": {"card_count_1d": 9.0, "card_per_day": 1.0},
    "amount_over_usual": {"card_amount_over_median": 6.0},
    "amount_over_largest": {"card_amount_over_max": 2.0},
    "amount_large": {"amount": 900.0},
    "recent_high_amounts": {"card_high_7d": 3.0},
    "new_country": {"card_new_land": 1.0},
    "new_place": {"card_new_place": 1.0},
    "known_fraud_place": {"terminal_frauds_30d": 2.0, "terminal_risk_30d": 0.5},
    "unusual_hour": {"hour_of_day": 3.0},
}


def test_every_reason_has_a_case() -> None:
    assert set(CASES) == set(REASON_CODES)


@pytest.mark.parametrize("code", CASES)
def test_a_reason_is_given_where_it_holds(code: str) -> None:
    assert set(CASES[code]) <= set(FEATURES)
    assert [reason.code for reason in reasons_of(CASES[code])] == [code]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(list(FEATURES)), st.floats(width=32)))
def test_reasons_are_total_and_few(features: dict[str, float]) -> None:
    for reason in reasons_of(features):
        assert reason.code in REASON_CODES
        assert len(reason.text) < 160


def test_what_is_not_known_gives_no_reason() -> None:
    assert reasons_of(dict.fromkeys(FEATURES, nan)) == ()
