"""`flagstream train fraud`: from a table of transactions to a bundle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import structlog
from lightgbm import Booster
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.bundle import file_sha256
from models.card import Calibration, Card, Output, Quality, Source
from models.errors import ModelError
from models.train import fraud_trees
from models.train.fraud_protocol import DELAY_DAYS, EPOCH, TEST_DAYS, figures, split
from models.train.fraud_settings import FraudTraining
from models.train.fraud_table import DAY_MS, Table, build

log = structlog.get_logger(__name__)

CARD_SIDE: tuple[str, ...] = (
    "amount", "hour_of_day", "weekend",
    "card_count_10m", "card_count_1h", "card_count_1d", "card_count_7d", "card_per_day", "card_seconds_since_last",
    "card_mean_1d", "card_mean_7d", "card_mean_30d", "card_amount_over_mean", "card_amount_over_median", "card_amount_over_max",
    "card_amount_z", "card_high_7d", "card_high_14d", "card_max_over_median_14d", "card_new_place", "card_new_land",
)  # fmt: skip
"""Features of the model that knows the card's side only."""
TERMINAL_SIDE: tuple[str, ...] = (
    "terminal_count_7d", "terminal_count_30d", "terminal_frauds_7d", "terminal_frauds_30d", "terminal_risk_7d", "terminal_risk_30d",
    "terminal_fraud_share_3", "terminal_streak", "terminal_streak_days", "terminal_streak_gap_days", "terminal_streak_amount",
    "terminal_streak_odd", "terminal_days_since_fraud", "terminal_legit_since_fraud",
)  # fmt: skip
"""What a model adds that knows the terminal's side as well."""


def names(training: FraudTraining) -> tuple[str, ...]:
    """The features of a training run."""
    return training.features or (CARD_SIDE + TERMINAL_SIDE if training.terminals else CARD_SIDE)


def train(data: Path, out: Path, *, config: Path | None = None, threads: int = 1) -> Card:
    """Train on the table at `data` and write the bundle `out`; the card that was written. Raises `ModelError`."""
    training = FraudTraining.load(config)
    log.info("fraud.features", data=data.name)
    table = build(data, training, names(training))
    return write(table, out, training, threads=threads)


def write(table: Table, out: Path, training: FraudTraining, *, threads: int = 1) -> Card:
    """The bundle of the rows up to `train_until`: trees of all of them, calibrated on days that their like did not see."""
    first, last = _day(training.train_from), _day(training.train_until)
    used = np.flatnonzero(table.between(first, last))
    if not table.fraud[used].any():
        raise ModelError(f"no fraud between {training.train_from} and {training.train_until}: nothing to learn")
    calibration = _calibrated(table, training, threads=threads)
    booster = fit(table, used, training, threads=threads)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "model.onnx"
    fraud_trees.write_onnx(booster, path)
    difference = fraud_trees.verify(booster, path, table.rows)
    log.info("fraud.written", path=path.name, onnx_difference=difference)
    side = "the card's and the terminal's past" if training.terminals else "the card's past"
    card = Card(
        name=training.name, kind="transaction", licence="Apache-2.0", created=datetime.now(tz=UTC).date().isoformat(),
        description=f"Probability that a transaction is fraud, from itself and {side}: {training.trees.rounds} gradient-boosted trees.",
        base="LightGBM, written as an ONNX tree ensemble",
        outputs=(Output(label="fraud", calibration=calibration),), features=table.names,
        files={"model.onnx": file_sha256(path)},
        parameters={"terminals": training.terminals, "label_delay_days": training.label_delay_days},
        sources=(
            Source(
                name=training.source, licence=training.licence, rows=len(used),
                note=f"{training.train_from} to {training.train_until}; {int(table.fraud[used].sum())} frauds; "
                f"earlier days only build up histories, later days are not touched",
            ),
        ),
        limits=_limits(training),
    )  # fmt: skip
    card = card.model_copy(update={"quality": _quality(table, booster, calibration, training)})
    (out / "card.json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return card


def fit(table: Table, used: NDArray[np.intp], training: FraudTraining, *, threads: int = 1) -> Booster:
    """The trees of the `used` rows; they learn to do without the terminal's side as well."""
    hideable = [place for place, name in enumerate(table.names) if name in TERMINAL_SIDE]
    return fraud_trees.fit(table.rows[used], table.fraud[used], training.trees, hideable=hideable, threads=threads)


def _limits(training: FraudTraining) -> tuple[str, ...]:
    shared = (
        "Trained on simulated transactions in one currency: scores on real ones are in order of risk at best; train on your own "
        "with a config that maps your columns.",
        "A card needs some ten transactions on record before its usual amount means anything.",
    )
    blind = ("Knows nothing of terminals: fraud that shows only where a card is used stays unseen.",)
    return shared if training.terminals else (*shared, *blind)


def _quality(table: Table, booster: Booster, calibration: Calibration, training: FraudTraining) -> tuple[Quality, ...]:
    """The figures of the handbook's protocol in the first week after the training and the label delay, if the table has it."""
    test_from = training.train_until + timedelta(days=DELAY_DAYS + 1)
    test = split(table, test_from).test
    if not table.fraud[test].any() or _day(test_from) + TEST_DAYS - 1 > table.times[-1] // DAY_MS:
        return ()
    week = f"{test_from} to {test_from + timedelta(days=TEST_DAYS - 1)}"
    seen, found = table.rows[test], []
    blind = seen.copy()
    hideable = [place for place, name in enumerate(table.names) if name in TERMINAL_SIDE]
    blind[:, hideable] = np.nan
    for title, rows in (("", seen), (", terminals unknown", blind)) if hideable else (("", seen),):
        odds = calibration.slope * fraud_trees.log_odds(booster, rows) + calibration.intercept
        scores = 1.0 / (1.0 + np.exp(-odds))
        found.append(
            Quality(
                slice=week + title, label="fraud", rows=len(test), positives=int(table.fraud[test].sum()),
                figures={**figures(table, test, scores), "mean_probability": float(scores.mean())},
                note="the handbook's protocol: a delay of 7 days after the training, known compromised cards removed",
            )
        )  # fmt: skip
    return tuple(found)


def _calibrated(table: Table, training: FraudTraining, *, threads: int) -> Calibration:
    """Platt scaling fitted on the last `calibration_days`, scored by trees that were fitted before them and the label delay."""
    last = _day(training.train_until)
    since = last - training.calibration_days + 1
    held = np.flatnonzero(table.between(since, last))
    earlier = np.flatnonzero(table.between(_day(training.train_from), since - training.label_delay_days - 1))
    if table.fraud[held].sum() < 20 or table.fraud[earlier].sum() < 20:
        log.warning("fraud.not_calibrated", reason="fewer than 20 frauds to fit on")
        return Calibration()
    booster = fit(table, earlier, training, threads=threads)
    return platt(fraud_trees.log_odds(booster, table.rows[held]), table.fraud[held])


def platt(log_odds: NDArray[np.float64], fraud: NDArray[np.int8]) -> Calibration:
    """The slope and intercept of the least log loss."""
    # C so large that nothing is held back.
    fitted = LogisticRegression(C=1e6, tol=1e-8, max_iter=1000).fit(log_odds[:, None], fraud)
    return Calibration(slope=max(float(fitted.coef_[0, 0]), 1e-3), intercept=float(fitted.intercept_[0]))


def _day(day: date) -> int:
    return (day - EPOCH) // timedelta(days=1)
