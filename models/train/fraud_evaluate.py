"""`flagstream evaluate fraud`: our models and the published baselines, refitted for each test week on what was known before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models.train import fraud_trees
from models.train.fraud import CARD_SIDE, TERMINAL_SIDE
from models.train.fraud_handbook import handbook_features
from models.train.fraud_protocol import TEST_WEEKS, WEEK_DAYS, figures, split
from models.train.fraud_settings import FraudTraining, Trees
from models.train.fraud_table import Table, build, read

log = structlog.get_logger(__name__)

Rows = NDArray[np.float32]
Labels = NDArray[np.int8]
Scorer = Callable[[Rows], NDArray[np.float64]]

HIDEABLE = tuple(range(len(CARD_SIDE), len(CARD_SIDE + TERMINAL_SIDE)))
"""Columns of the terminal's side in our rows."""
PLAIN_TREES = Trees(rounds=200, leaves=15, learning_rate=0.05, min_rows_in_leaf=20, features_share=0.8, l2=0.0, legitimate_share=1.0)
"""LightGBM as a baseline: ordinary settings on the handbook's features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One row of the table: how a model is fitted, on which features and on how many days (None: all from the warm-up on).

    `blind` leaves the terminal's side out of what is tested."""

    name: str
    features: str
    days: int | None
    fit: Callable[[Rows, Labels], Scorer]
    blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A contender's figures in one test week."""

    contender: str
    week: date
    rows: int
    positives: int
    figures: Mapping[str, float]


def contenders(training: FraudTraining) -> tuple[Contender, ...]:
    """All rows of the table, XGBoost only where it is installed."""
    both = _trees(training.trees, HIDEABLE)
    rows = [
        Contender(name="logistic regression, 7 days", features="handbook", days=WEEK_DAYS, fit=_logistic),
        Contender(name="random forest, 7 days", features="handbook", days=WEEK_DAYS, fit=_forest),
        Contender(name="LightGBM, 7 days", features="handbook", days=WEEK_DAYS, fit=_trees(PLAIN_TREES)),
        Contender(name="LightGBM, all days", features="handbook", days=None, fit=_trees(PLAIN_TREES)),
        Contender(name="ours, card side", features="card", days=None, fit=_trees(training.trees)),
        Contender(name="ours, both sides, 7 days", features="both", days=WEEK_DAYS, fit=both),
        Contender(name="ours, both sides", features="both", days=None, fit=both),
        Contender(name="the same, terminals unknown", features="both", days=None, fit=both, blind=True),
    ]
    try:
        import xgboost
    except ImportError:
        log.warning("evaluate.skipped", contender="XGBoost", reason="xgboost is not installed")
        return tuple(rows)

    def boosted(features: Rows, fraud: Labels) -> Scorer:
        model = xgboost.XGBClassifier(random_state=0, n_jobs=1).fit(features, fraud)
        return lambda tested: np.asarray(model.predict_proba(tested)[:, 1], np.float64)

    rows.insert(2, Contender(name="XGBoost, 7 days", features="handbook", days=WEEK_DAYS, fit=boosted))
    return tuple(rows)


def evaluate(data: Path, *, config: Path | None = None, weeks: Sequence[date] = TEST_WEEKS, sequence: bool = False) -> list[Result]:
    """Every contender in every week of the table at `data`; with `sequence`, a sequence model alone and beside our trees as well."""
    training = replace(FraudTraining.load(config), terminals=True)
    names, handbook = CARD_SIDE + TERMINAL_SIDE, handbook_features(read(data, training.columns))
    if not sequence:
        return compare(build(data, training, names), handbook, training, weeks)
    # It needs torch, and this module.
    from models.train import fraud_sequence

    table, tokens = fraud_sequence.read(data, training, names)
    return compare(table, handbook, training, weeks) + fraud_sequence.compare(table, tokens, training, weeks)


def compare(table: Table, handbook: Rows, training: FraudTraining, weeks: Sequence[date]) -> list[Result]:
    """As `evaluate`, of features that are there already: ours in `table`, the handbook's in `handbook`, row by row."""
    features = {"handbook": handbook, "both": table.rows, "card": table.rows[:, [table.names.index(name) for name in CARD_SIDE]]}
    results = []
    rows_of_table = contenders(training)
    for week in weeks:
        fitted: dict[tuple[object, int | None], Scorer] = {}
        for contender in rows_of_table:
            days = split(table, week, train_days=contender.days, warm_until=training.train_from)
            rows = features[contender.features]
            tested = rows[days.test]
            if contender.blind:
                tested[:, list(HIDEABLE)] = np.nan
            key = (contender.fit, contender.days)
            if key not in fitted:
                fitted[key] = contender.fit(rows[days.train], table.fraud[days.train])
            scores = fitted[key](tested)
            result = Result(
                contender=contender.name, week=week, rows=len(days.test), positives=int(table.fraud[days.test].sum()),
                figures=figures(table, days.test, scores),
            )  # fmt: skip
            log.info("evaluate.result", contender=contender.name, week=week.isoformat(), **result.figures)
            results.append(result)
    return results


def markdown(results: Sequence[Result]) -> str:
    """The results as two tables: mean and standard deviation over the weeks, and the last week (the handbook's) alone."""
    names = list(dict.fromkeys(result.contender for result in results))
    kinds = list(results[0].figures)
    last = max(result.week for result in results)
    lines = []
    for title, keep in ((f"mean ± spread over {len({result.week for result in results})} weeks", None), (f"week of {last}", last)):
        lines += [f"| {title} | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
        for name in names:
            mine = [result.figures for result in results if result.contender == name and keep in (None, result.week)]
            cells = []
            for kind in kinds:
                values = np.array([each[kind] for each in mine])
                cells.append(f"{values.mean():.3f}" + (f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""))
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _logistic(features: Rows, fraud: Labels) -> Scorer:
    model = make_pipeline(StandardScaler(), LogisticRegression(random_state=0, max_iter=1000)).fit(features, fraud)
    return lambda tested: np.asarray(model.predict_proba(tested)[:, 1], np.float64)


def _forest(features: Rows, fraud: Labels) -> Scorer:
    model = RandomForestClassifier(random_state=0, n_jobs=1).fit(features, fraud)
    return lambda tested: np.asarray(model.predict_proba(tested)[:, 1], np.float64)


def _trees(trees: Trees, hideable: tuple[int, ...] = ()) -> Callable[[Rows, Labels], Scorer]:
    def fit(features: Rows, fraud: Labels) -> Scorer:
        booster = fraud_trees.fit(features, fraud, trees, hideable=hideable)
        return lambda tested: 1.0 / (1.0 + np.exp(-fraud_trees.log_odds(booster, tested)))

    return fit
