"""How a fraud model is trained: which columns of a user's table mean what, which days are used, and how large the trees are.

A TOML file overrides any of it:

```toml
name = "fraud"
train_from = 2018-05-15            # days before this only build up histories
train_until = 2018-07-31           # the last day that is trained on
label_delay_days = 7
terminals = true                   # with what verdicts say of terminals; false: the card's side alone

[columns]                          # your names; "" for what you do not have
id = "transaction_id"
occurred_at = "occurred_at"
account = "customer_id"
amount = "amount_minor"
place = "terminal_id"
country = ""
currency = ""
fraud = "fraud"

[trees]
rounds = 300
```
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from models.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The table's column for each meaning, or a template of several (`{Year}-{Month}-{Day} {Time}`); empty: there is none.

    Times without a zone are UTC. `account` is whose history counts: the card where there is one."""

    id: str = "transaction_id"
    occurred_at: str = "occurred_at"
    account: str = "customer_id"
    amount: str = "amount_minor"
    place: str = "terminal_id"
    country: str = ""
    currency: str = ""
    fraud: str = "fraud"
    minor_units: int = 1
    """Minor units in one unit of the amount column: 1 for cents, 100 for euros."""
    time_unit: str = ""
    """Where times are numbers: their unit (s, ms, h, …) since `time_origin`."""
    time_origin: str = "1970-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Size and pace of the gradient boosting (names as LightGBM's)."""

    rounds: int = 300
    leaves: int = 15
    learning_rate: float = 0.04
    min_rows_in_leaf: int = 50
    rows_share: float = 0.8
    features_share: float = 0.5
    l2: float = 5.0
    legitimate_share: float = 0.3
    """Share of the legitimate rows that is trained on, with the weight of all."""
    hidden_share: float = 0.3
    """Share of the rows that is trained on once more with the terminal's side unknown."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FraudTraining:
    """A whole training run; the defaults are the shipped model's."""

    name: str = "fraud"
    features: tuple[str, ...] = ()
    """Features by name; empty for the default list of the card's side, or of both sides with `terminals`."""
    terminals: bool = True
    train_from: date = date(2018, 5, 10)
    train_until: date = date(2018, 7, 31)
    calibration_days: int = 14
    """The calibration is fitted on the last days of the training, with trees fitted before and `label_delay_days` between."""
    label_delay_days: int = 7
    source: str = "Fraud Detection Handbook, simulated card transactions 2018-04-01 to 2018-08-14"
    licence: str = "simulated; no personal data"
    columns: Columns = Columns()
    trees: Trees = Trees()

    @classmethod
    def load(cls, path: Path | None) -> FraudTraining:
        """The defaults, overridden by the TOML file at `path`. Raises `ModelError` naming the file and the fault."""
        if path is None:
            return cls()
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ModelError(f"{path}: {error}") from error
        columns = _overridden(Columns(), given.pop("columns", {}), f"{path}: columns")
        trees = _overridden(Trees(), given.pop("trees", {}), f"{path}: trees")
        if "features" in given:
            given["features"] = tuple(given["features"])
        return replace(_overridden(cls(), given, str(path)), columns=columns, trees=trees)


T = TypeVar("T", Columns, Trees, FraudTraining)


def _overridden(defaults: T, given: dict[str, Any], place: str) -> T:
    known = {field.name for field in fields(defaults)}
    for name, value in given.items():
        if name not in known:
            raise ModelError(f"{place}: unknown setting {name!r}; known: {', '.join(sorted(known))}")
        expected = type(getattr(defaults, name))
        if not isinstance(value, expected | int if expected is float else expected):
            raise ModelError(f"{place}: {name} must be {expected.__name__}")
    return replace(defaults, **given)
