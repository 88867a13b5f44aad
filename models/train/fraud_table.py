"""A user's table of transactions as feature rows: the same fold and the same features as in serving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.entry import NONE, Entry, key16, key32, key64
from models.errors import ModelError
from models.features import Vector, vector
from models.ledger import Ledger
from models.train.fraud_settings import Columns, FraudTraining

DAY_MS = 86_400_000
MEANINGS = ("id", "occurred_at", "account", "amount", "place", "country", "currency", "fraud")


@dataclass(frozen=True, slots=True)
class Table:
    """Transactions in the order of their times: one value a transaction in each array, `rows` [n, features] float32."""

    names: tuple[str, ...]
    rows: NDArray[np.float32]
    times: NDArray[np.int64]
    fraud: NDArray[np.int8]
    accounts: NDArray[np.int64]

    def between(self, first_day: int, last_day: int) -> NDArray[np.bool_]:
        """Which transactions lie in [first_day, last_day], both days since 1970."""
        days = self.times // DAY_MS
        return (days >= first_day) & (days <= last_day)


def read(data: Path, columns: Columns) -> pd.DataFrame:
    """The table at `data` (Parquet or CSV) under our own names, in time order, with `at_ms` and whole minor units.

    Raises `ModelError` for a missing column or one that cannot be read as what it should be."""
    frame = pd.read_csv(data) if data.suffix == ".csv" else pd.read_parquet(data)
    out = pd.DataFrame(index=frame.index)
    for ours in MEANINGS:
        theirs: str = getattr(columns, ours)
        if theirs:
            out[ours] = _column(frame, theirs, ours, data)
    if "id" not in out:
        out["id"] = np.arange(len(out))
    missing = [ours for ours in ("occurred_at", "account", "amount", "fraud") if ours not in out]
    if missing:
        raise ModelError(f"columns: {missing[0]} must name a column of {data}")
    try:
        unit = columns.time_unit or None
        moments = pd.to_datetime(out["occurred_at"], utc=True, unit=unit, origin=columns.time_origin if unit else "unix")
        out["at_ms"] = moments.dt.as_unit("ms").astype("int64")
        out["amount"] = (_number(out["amount"]) * columns.minor_units).round().abs().astype("int64")
        out["fraud"] = _truth(out["fraud"])
    except (ValueError, TypeError) as error:
        raise ModelError(f"{data}: {str(error).splitlines()[0]}") from error
    return out.sort_values(["at_ms", "id"], kind="stable").reset_index(drop=True)


def _column(frame: pd.DataFrame, theirs: str, ours: str, data: Path) -> pd.Series[Any]:
    """A column by name, or several put together by a template such as `{Year}-{Month}-{Day} {Time}`."""
    names = [field for _, field, _, _ in Formatter().parse(theirs) if field] if "{" in theirs else [theirs]
    for name in names:
        if name not in frame.columns:
            raise ModelError(f"{data}: no column {name!r} (wanted as {ours}); it has {', '.join(map(str, frame.columns))}")
    if "{" not in theirs:
        return frame[theirs]
    parts = zip(*(frame[name].tolist() for name in names), strict=True)
    return pd.Series([theirs.format(**dict(zip(names, each, strict=True))) for each in parts], index=frame.index)


def _number(values: pd.Series[Any]) -> pd.Series[float]:
    """Numbers, also those written like $1,234.50."""
    if pd.api.types.is_numeric_dtype(values):
        return values.astype(float)
    return values.astype(str).str.replace(r"[^0-9.eE+-]", "", regex=True).astype(float)


def _truth(values: pd.Series[Any]) -> pd.Series[int]:
    """1 for 1, true and yes, else 0."""
    if pd.api.types.is_numeric_dtype(values):
        return (values.astype(float) > 0).astype("int8")
    return values.astype(str).str.lower().isin(["1", "1.0", "true", "yes", "y", "fraud"]).astype("int8")


def build(data: Path, training: FraudTraining, names: tuple[str, ...], *, compute: Vector | None = None) -> Table:
    """Every transaction of the table with its features, each seeing only what was known at its time.

    A fraud becomes known `label_delay_days` after its transaction. `compute` stands in for the vector of `names`; it is called once a
    transaction, in the order of the table."""
    frame = read(data, training.columns)
    ledger = Ledger(compute or vector(names), terminals=training.terminals)
    rows = np.empty((len(frame), len(names)), np.float32)
    for index, row in _played(frame, ledger, training.label_delay_days * DAY_MS):
        rows[index] = row
    accounts = pd.factorize(frame["account"])[0].astype(np.int64)
    return Table(names, rows, frame["at_ms"].to_numpy(), frame["fraud"].to_numpy(np.int8), accounts)


def _played(frame: pd.DataFrame, ledger: Ledger, delay_ms: int) -> Iterator[tuple[int, list[float]]]:
    """(index, features) of each transaction, with every fraud's verdict in its place."""
    ids, accounts = frame["id"].astype(str).tolist(), frame["account"].astype(str).tolist()
    places, lands, currencies = (
        frame[name].astype(str).where(frame[name].notna(), "").tolist() if name in frame else None
        for name in ("place", "country", "currency")
    )
    times, amounts, frauds = frame["at_ms"].tolist(), frame["amount"].tolist(), frame["fraud"].tolist()
    transactions = ((at, 1, index) for index, at in enumerate(times))
    verdicts = ((times[index] + delay_ms, 0, index) for index, fraud in enumerate(frauds) if fraud)
    for at, is_transaction, index in merge(transactions, verdicts):
        if not is_transaction:
            ledger.judge(key64(ids[index]), known_ms=at, fraud=True)
            continue
        place = places[index] or None if places else None
        entry = Entry(
            at, key64(ids[index]), amounts[index], key16(currencies[index] if currencies else "EUR"),
            key32(place) if place else NONE, key16(lands[index]) if lands and lands[index] else NONE,
        )
        yield index, ledger.row(accounts[index], place, entry)
        ledger.add(accounts[index], place, entry)
