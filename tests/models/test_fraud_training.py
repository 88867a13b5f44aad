from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("lightgbm", reason="the extra `train` is not installed")

import pandas as pd

from models.bundle import Bundle
from models.errors import ModelError
from models.fraud import FraudClassifier
from models.history import DAY_MS
from models.train import fraud, fraud_trees
from models.train.fraud_evaluate import evaluate, markdown
from models.train.fraud_protocol import HANDBOOK_WEEK, TEST_WEEKS, VALIDATION_WEEKS, card_precision, money_saved, recall_at_fpr, split
from models.train.fraud_settings import Columns, FraudTraining, Trees
from models.train.fraud_table import Table, build, read

START = datetime(2020, 1, 1, tzinfo=UTC)
SMALL = """
name = "small"
train_from = 2020-01-05
train_until = 2020-02-20
[columns]
id = "n"
occurred_at = "{day} {time}"
account = "who"
amount = "paid"
minor_units = 100
place = "shop"
fraud = "bad"
[trees]
rounds = 12
min_rows_in_leaf = 5
"""


@pytest.fixture(scope="module")
def shop_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 days of 40 cards; a fraud is a payment of some 8 times the card's usual."""
    chance = np.random.default_rng(3)
    rows = []
    for number in range(3_000):
        at = pd.Timestamp(START) + pd.Timedelta(minutes=24 * number)
        who = int(chance.integers(40))
        bad = chance.random() < 0.05
        paid = (10 + who) * chance.lognormal(0, 0.6) * (8 if bad else 1)
        day, time = at.strftime("%Y-%m-%d %H:%M").split()
        rows.append((f"t{number}", day, time, f"card {who}", f"${paid:,.2f}", number % 7, "Yes" if bad else "No"))
    path = tmp_path_factory.mktemp("shop") / "shop.csv"
    pd.DataFrame(rows, columns=["n", "day", "time", "who", "paid", "shop", "bad"]).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def small_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL)
    return path


def test_training_on_a_users_own_columns_gives_a_bundle_that_serves(shop_csv: Path, small_toml: Path, tmp_path: Path) -> None:
    card = fraud.train(shop_csv, tmp_path / "small", config=small_toml)
    assert card.name == "small"
    classifier = FraudClassifier.load(Bundle.open(tmp_path / "small"))
    table = build(shop_csv, FraudTraining.load(small_toml), classifier.features)
    late = table.between((date(2020, 2, 1) - date(1970, 1, 1)).days, 10**6)
    scores = classifier.score(table.rows[late])
    assert scores[table.fraud[late] == 1].mean() > 5 * scores[table.fraud[late] == 0].mean()


def test_training_twice_gives_the_same_bytes(shop_csv: Path, small_toml: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        fraud.train(shop_csv, tmp_path / name, config=small_toml)
    assert Bundle.open(tmp_path / "one").digest == Bundle.open(tmp_path / "two").digest


def test_onnx_trees_agree_with_lightgbm_on_thresholds_and_unknowns(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    rows = np.round(chance.normal(0, 3, (4_000, 5)), 1).astype(np.float32)
    rows[chance.random(rows.shape) < 0.2] = np.nan
    rows[:, 4] = np.round(chance.normal(0, 3, 4_000), 1)
    label = (np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1], nan=2.0) > 1).astype(np.int8)
    booster = fraud_trees.fit(rows, label, Trees(rounds=40, min_rows_in_leaf=5))
    fraud_trees.write_onnx(booster, tmp_path / "trees.onnx")
    # The last feature was never unknown in training: LightGBM takes an unknown one for zero then.
    rows[::3, 4] = np.nan
    assert fraud_trees.verify(booster, tmp_path / "trees.onnx", rows) < 2e-6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("colour = 3", "unknown setting 'colour'"),
        ("[columns]\nwho = 'x'", "unknown setting 'who'"),
        ("[trees]\nrounds = 'many'", "rounds must be int"),
        ("name = ", "small.toml"),
    ],
)
def test_a_wrong_config_is_one_clear_line(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text(text)
    with pytest.raises(ModelError, match=complaint):
        FraudTraining.load(path)


def test_a_missing_column_is_named_with_those_that_are_there(shop_csv: Path) -> None:
    with pytest.raises(ModelError, match=r"no column 'customer_id' \(wanted as account\); it has n, day, "):
        read(shop_csv, Columns(id="n", occurred_at="day"))


def test_the_last_days_are_never_trained_on(shop_csv: Path, small_toml: Path, tmp_path: Path) -> None:
    """Turning the labels after `train_until` upside down changes nothing."""
    training = FraudTraining.load(small_toml)
    cut = replace(training, train_until=date(2020, 1, 31), calibration_days=7)
    table = build(shop_csv, cut, fraud.names(cut))
    day = (date(2020, 1, 31) - date(1970, 1, 1)).days
    flipped = np.where(table.times // DAY_MS > day, 1 - table.fraud, table.fraud).astype(np.int8)
    fraud.write(table, tmp_path / "a", cut)
    fraud.write(replace(table, fraud=flipped), tmp_path / "b", cut)
    assert Bundle.open(tmp_path / "a").digest == Bundle.open(tmp_path / "b").digest


def test_the_table_of_contenders_has_every_figure_of_every_week(shop_csv: Path, small_toml: Path) -> None:
    weeks = (date(2020, 2, 3), date(2020, 2, 10))
    results = evaluate(shop_csv, config=small_toml, weeks=weeks)
    names = {result.contender for result in results}
    assert {"random forest, 7 days", "LightGBM, all days", "ours, both sides", "the same, terminals unknown"} <= names
    assert len(results) == len(names) * len(weeks)
    assert all(0.3 < result.figures["average_precision"] < 1.001 for result in results)
    text = markdown(results)
    assert text.count("| ours, both sides |") == 2
    assert "mean ± spread over 2 weeks" in text


def test_the_sequence_model_is_two_more_rows_beside_the_same_others(shop_csv: Path, small_toml: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    weeks = (date(2020, 2, 10),)
    plain, more = (evaluate(shop_csv, config=small_toml, weeks=weeks, sequence=sequence) for sequence in (False, True))
    assert more[: len(plain)] == plain
    assert [result.contender for result in more[len(plain) :]] == ["sequence model", "trees + sequence model"]
    both = more[-1].figures
    assert both["average_precision"] > 0.3, "a fraud in twenty, of eight times the usual amount"


def toy(days: list[int], accounts: list[int], labels: list[int]) -> Table:
    times = np.array(days, np.int64) * DAY_MS + 1
    return Table(("amount",), np.zeros((len(days), 1), np.float32), times, np.array(labels, np.int8), np.array(accounts, np.int64))


def test_the_split_leaves_out_the_delay_and_the_cards_known_by_then() -> None:
    first = (date(2018, 8, 8) - date(1970, 1, 1)).days
    week = toy(
        [first - 15, first - 14, first - 8, first - 7, first, first, first, first + 1, first + 6, first + 7],
        [1, 2, 3, 4, 1, 2, 3, 4, 9, 9],
        [1, 1, 0, 1, 0, 0, 0, 0, 0, 0],
    )
    found = split(week, date(2018, 8, 8))
    assert found.train.tolist() == [1, 2]
    # Card 2 is known from the training week, card 4 from the second test day on; card 1's fraud is older than the week.
    assert found.test.tolist() == [4, 6, 8]


def test_card_precision_looks_at_a_found_card_only_once() -> None:
    table = toy([1, 1, 1, 2, 2, 2], [1, 2, 2, 1, 2, 3], [1, 0, 0, 1, 1, 0])
    scores = np.array([0.9, 0.2, 0.3, 0.9, 0.8, 0.1])
    assert card_precision(table, np.arange(6), scores, cards=1) == 1.0
    assert card_precision(table, np.arange(6), -scores, cards=1) == 0.0


def test_recall_counts_frauds_above_what_the_permitted_false_positives_exceed() -> None:
    labels = np.array([0] * 1000 + [1, 1], np.int8)
    scores = np.concatenate([np.arange(1000) / 1000, [0.9985, 0.5]])
    assert recall_at_fpr(labels, scores, fpr=0.001) == 0.5


def test_money_is_saved_by_looking_where_the_expected_loss_exceeds_the_cost() -> None:
    amounts, labels = np.array([100, 100, 10, 100], np.float32), np.array([1, 0, 1, 1], np.int8)
    # Looked at: the first two (90 and 20 expected, cost 5); the third expects 1, the last 2.
    assert money_saved(amounts, labels, np.array([0.9, 0.2, 0.1, 0.02]), cost=5) == pytest.approx((100 - 2 * 5) / 210)


def test_weeks_for_choosing_end_before_the_weeks_for_testing() -> None:
    assert (min(TEST_WEEKS) - max(VALIDATION_WEEKS)).days >= 7
    assert len(TEST_WEEKS) >= 4
    assert HANDBOOK_WEEK in TEST_WEEKS


def test_the_handbooks_week_is_the_published_one(data_dir: Path) -> None:
    frame = read(data_dir / "fraud" / "transactions.parquet", Columns())
    accounts = pd.factorize(frame["account"])[0].astype(np.int64)
    table = Table(("amount",), np.zeros((len(frame), 1), np.float32), frame["at_ms"].to_numpy(), frame["fraud"].to_numpy(np.int8), accounts)
    found = split(table, HANDBOOK_WEEK)
    # Chapter 4: 67,240 transactions in the training week, 58,264 in the test week.
    assert (len(found.train), len(found.test)) == (67_240, 58_264)


MAPPINGS = {
    "tabformer_one_user.parquet": Columns(
        id="", occurred_at="{Year}-{Month}-{Day} {Time}", account="{User}-{Card}", amount="Amount", minor_units=100, place="Merchant Name",
        country="Merchant State", fraud="Is Fraud?",
    ),
    "paysim_partial.parquet": Columns(
        id="", occurred_at="step", time_unit="h", time_origin="2020-01-01", account="nameOrig", amount="amount", minor_units=100,
        place="nameDest", fraud="isFraud",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPPINGS)
def test_other_schemas_become_the_same_features(name: str, data_dir: Path) -> None:
    frame = read(data_dir / "fraud" / name, MAPPINGS[name])
    assert frame["at_ms"].is_monotonic_increasing
    assert (frame["amount"] >= 0).all()
    assert frame["fraud"].sum() > 20


def test_a_minimal_schema_leaves_the_rest_unknown_instead_of_zero(tmp_path: Path) -> None:
    path = tmp_path / "minimal.csv"
    pd.DataFrame({"id": [1, 2], "t": ["2020-01-01", "2020-01-02"], "a": ["x", "x"], "v": [5, 6], "f": [0, 0]}).to_csv(path, index=False)
    columns = Columns(id="id", occurred_at="t", account="a", amount="v", place="", fraud="f")
    names = ("amount", "card_count_7d", "card_new_place", "card_new_land", "terminal_count_7d", "terminal_streak")
    table = build(path, FraudTraining(columns=columns, terminals=True), names)
    assert table.rows[1, :2].tolist() == [pytest.approx(0.06), 1.0]
    assert np.isnan(table.rows[:, 2:]).all()
