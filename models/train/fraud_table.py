"""A user's table of transactions as feature rows: the same fold and the same features as in serving."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.entry import NONE, Entry, key16, key32, key64
from models.errors import ModelError
from models.features import vector
from models.ledger import Ledger
from models.train.fraud_settings import Columns, FraudTraining

DAY_MS = 86_400_000


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
    """The table at `data` (Parquet or CSV) under our own names, in time order. Raises `ModelError` for a missing column."""
    frame = pd.read_csv(data) if data.suffix == ".csv" else pd.read_parquet(data)
    out = pd.DataFrame()
    for ours in ("id", "occurred_at", "account", "amount", "place", "country", "currency", "fraud"):
        theirs = getattr(columns, ours)
        if not theirs:
            continue
        if theirs not in frame.columns:
            raise ModelError(f"{data}: no column {theirs!r} (wanted as {ours}); it has {', '.join(map(str, frame.columns))}")
        out[ours] = frame[theirs]
    moments = pd.to_datetime(out["occurred_at"], utc=True)
    out["at_ms"] = moments.dt.as_unit("ms").astype("int64")
    out["amount"] = (out["amount"].astype(float) * columns.minor_units).round().astype("int64")
    return out.sort_values(["at_ms", "id"], kind="stable").reset_index(drop=True)


def build(data: Path, training: FraudTraining, names: tuple[str, ...]) -> Table:
    """Every transaction of the table with its features, each seeing only what was known at its time.

    A fraud becomes known `label_delay_days` after its transaction."""
    frame = read(data, training.columns)
    ledger = Ledger(vector(names), terminals=training.terminals)
    rows = np.empty((len(frame), len(names)), np.float32)
    for index, row in _played(frame, ledger, training.label_delay_days * DAY_MS):
        rows[index] = row
    accounts = pd.factorize(frame["account"])[0].astype(np.int64)
    return Table(names, rows, frame["at_ms"].to_numpy(), frame["fraud"].to_numpy(np.int8), accounts)


def _played(frame: pd.DataFrame, ledger: Ledger, delay_ms: int) -> Iterator[tuple[int, list[float]]]:
    """(index, features) of each transaction, with every fraud's verdict in its place."""
    columns = [frame[name].astype(str).tolist() if name in frame else None for name in ("id", "account", "place", "country", "currency")]
    ids, accounts, places, lands, currencies = columns
    if ids is None or accounts is None:
        raise ModelError("columns.id and columns.account must name columns")
    times, amounts, frauds = frame["at_ms"].tolist(), frame["amount"].tolist(), frame["fraud"].tolist()
    transactions = ((at, 1, index) for index, at in enumerate(times))
    verdicts = ((times[index] + delay_ms, 0, index) for index, fraud in enumerate(frauds) if fraud)
    for at, is_transaction, index in merge(transactions, verdicts):
        if not is_transaction:
            ledger.judge(ids[index], known_ms=at, fraud=True)
            continue
        place = places[index] if places else None
        entry = Entry(
            at, key64(ids[index]), amounts[index], key16(currencies[index] if currencies else "EUR"),
            key32(place) if place else NONE, key16(lands[index]) if lands else NONE,
        )
        yield index, ledger.row(accounts[index], place, entry)
        ledger.add(ids[index], accounts[index], place, entry)
