"""Texts and events of the benchmarks: the demo's traffic, or the data sets where there are some."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

from schemas.codec import encode
from schemas.transaction import Transaction
from stream.traffic.messages import Chat
from stream.traffic.transactions import transactions

START = datetime(2026, 1, 1, tzinfo=UTC)
SETS = ("davidson", "dynahate", "measuring_hate", "sms_spam", "edos")
"""Data sets of which the `test` part gives texts: comments, posts and short messages."""
ORDINARY = ("jigsaw_binary", "sms_spam", "convabuse")
"""Data sets that were not gathered by hateful words: what is said in them is mostly harmless."""
DISTINCT = 20_000
_ID = re.compile(rb'"id":"[^"]*"')

KeyedValue = tuple[bytes, bytes]


def texts(count: int, *, seed: int = 1, data_dir: Path | None = None) -> list[str]:
    """`count` texts: from the data sets in `data_dir` (default: FLAGSTREAM_DATA) where it has them, else the demo's chat,
    joined to a mean of about 35 tokens. The same for equal arguments."""
    folder = _sets(data_dir, SETS)
    if folder is not None:
        return _from_sets(folder, SETS, count)
    chat = Chat(seed)
    return [" ".join(chat.write(START)[0].text for _ in range(1 + number % 3)) for number in range(count)]


def _from_sets(folder: Path, names: Sequence[str], count: int) -> list[str]:
    import pyarrow.parquet as pq

    columns = []
    for name in names:
        table = pq.read_table(folder / f"{name}.parquet", columns=["text", "split"]).to_pylist()
        columns.append([row["text"] for row in table if row["split"] == "test"])
    turns = zip(*(cycle(column) for column in columns), strict=True)
    return list(islice((text for turn in turns for text in turn), count))


def ordinary(count: int, *, seed: int = 1, data_dir: Path | None = None) -> list[str]:
    """`count` texts that are mostly harmless, as they come: from `ORDINARY` sets in `data_dir` (default: FLAGSTREAM_DATA) where it has
    them, else single messages of the demo's chat."""
    folder = _sets(data_dir, ORDINARY)
    if folder is not None:
        return _from_sets(folder, ORDINARY, count)
    chat = Chat(seed)
    return [chat.write(START)[0].text for _ in range(count)]


def _sets(data_dir: Path | None, names: Sequence[str]) -> Path | None:
    """The folder of the data sets `names`, where all of them are there."""
    folder = data_dir or (Path(found) if (found := os.environ.get("FLAGSTREAM_DATA")) else None)
    there = folder is not None and all((folder / "moderation" / f"{name}.parquet").exists() for name in names)
    return folder / "moderation" if folder is not None and there else None


def message_events(count: int, *, seed: int = 1) -> Iterator[KeyedValue]:
    """`count` messages of the demo's chat as key and value; ids are `bench-0`, `bench-1`, …

    After `DISTINCT` of them texts come again under new ids."""
    chat = Chat(seed)
    made: list[KeyedValue] = []
    for number in range(min(count, DISTINCT)):
        body, _ = chat.write(START + timedelta(milliseconds=number))
        made.append((body.user_id.encode(), encode(body)))
    for number, (key, value) in enumerate(islice(cycle(made), count)):
        yield key, _ID.sub(b'"id":"bench-%d"' % number, value, count=1)


def transaction_events(count: int, *, seed: int = 1, cards: int = 500) -> Iterator[KeyedValue]:
    """`count` payments of the demo as key and value, in order of time."""
    for body in transaction_bodies(count, seed=seed, cards=cards):
        yield body.entity.encode(), encode(body)


def transaction_bodies(count: int, *, seed: int = 1, cards: int = 500) -> list[Transaction]:
    """`count` payments of the demo, in order of time."""
    made = (body for body, _ in transactions(seed, start=START, cards=cards))
    return list(islice((body for body in made if isinstance(body, Transaction)), count))
