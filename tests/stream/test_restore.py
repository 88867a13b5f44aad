"""Fetches of a changelog put together again, on Faust's own recovery."""

from __future__ import annotations

from pathlib import Path

import faust
import pytest
from faust.types import TP

from agents.applied import Applied, pack
from agents.protocol import StateKey
from schemas.codec import Position, RawRecord
from stream.state import UNAPPLIED_VALUES, StateTable


def value(offset: int, content: bytes = b"x") -> bytes:
    return pack(Applied(offset, offset), content)


def log_of(*writes: tuple[bytes, bytes | None], start: int = 0) -> list[RawRecord]:
    return [RawRecord(Position("c", 0, start + at), key, written, 0) for at, (key, written) in enumerate(writes)]


class Restoring:
    """A table whose only partition is being restored from a changelog that ends at `highwater`."""

    def __init__(self, folder: Path, store: str, *, highwater: int) -> None:
        self.app = faust.App("restoring", broker="kafka://127.0.0.1:1", store=store, datadir=str(folder), autodiscover=False)
        self.table = StateTable(self.app, name="t", partitions=1, store=store)
        self.app.tables.add(self.table)
        self.tp = TP(self.table.changelog_topic_name, 0)
        self.recovery = self.app.tables.recovery  # type: ignore[attr-defined]  # faust types the interface
        self.recovery.active_tps.add(self.tp)
        self.recovery.active_highwaters[self.tp] = highwater
        self.recovery.active_offsets[self.tp] = -1
        self.recovery.in_recovery = True

    def fetch(self, records: list[RawRecord]) -> None:
        self.table.restore(self.tp, records)

    def get(self, key: bytes) -> bytes | None:
        return self.table.get(StateKey(0, key))

    @property
    def stored_until(self) -> int | None:
        found: int | None = self.table.data.persisted_offset(self.tp)
        return found


@pytest.fixture(params=["memory://", "rocksdb://"])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_what_had_applied_more_stays_whichever_fetch_brings_it(tmp_path: Path, store: str) -> None:
    # Whole log in one fetch, and in a fetch for each record: the last two are late writes of a worker that had lost the partition.
    log = log_of((b"a", value(1)), (b"b", value(7)), (b"a", value(5, b"new")), (b"gone", value(2)), (b"gone", None), (b"a", value(3)), (b"b", value(6)))
    for number, cuts in enumerate(([log], [[record] for record in log])):
        restoring = Restoring(tmp_path / str(number), store, highwater=6)
        for cut in cuts:
            restoring.fetch(cut)
        assert (restoring.get(b"a"), restoring.get(b"b"), restoring.get(b"gone")) == (value(5, b"new"), value(7), None)
        assert restoring.stored_until == restoring.recovery.active_offsets[restoring.tp] == 6
        assert not restoring.recovery.need_recovery()


async def test_the_offset_moves_only_with_what_is_stored(tmp_path: Path, store: str) -> None:
    restoring = Restoring(tmp_path, store, highwater=3)
    restoring.fetch(log_of((b"a", value(1)), (b"b", value(2))))
    assert restoring.recovery.active_offsets[restoring.tp] == -1
    assert restoring.stored_until is None
    assert restoring.recovery.need_recovery()
    # A fetch from there on brings the same again.
    restoring.fetch(log_of((b"a", value(1)), (b"b", value(2)), (b"a", value(3)), (b"c", value(4))))
    assert (restoring.get(b"a"), restoring.get(b"b"), restoring.get(b"c")) == (value(3), value(2), value(4))
    assert restoring.stored_until == 3


async def test_a_partition_that_was_restored_elsewhere_meanwhile_starts_from_what_is_stored(tmp_path: Path, store: str) -> None:
    restoring = Restoring(tmp_path, store, highwater=9)
    restoring.fetch(log_of((b"a", value(1)), (b"b", value(2))))
    restoring.table.data.apply(restoring.tp, [(b"a", value(8)), (b"b", value(9))], 5)  # type: ignore[attr-defined]
    restoring.recovery.active_offsets[restoring.tp] = 5
    restoring.fetch(log_of((b"a", value(3)), (b"c", value(4)), (b"c", value(5)), (b"c", value(6)), start=6))
    assert (restoring.get(b"a"), restoring.get(b"b"), restoring.get(b"c")) == (value(8), value(9), value(6))


async def test_only_so_many_values_are_gathered(tmp_path: Path, store: str) -> None:
    restoring = Restoring(tmp_path, store, highwater=10**6)
    restoring.fetch(log_of(*((b"%d" % number, value(number)) for number in range(UNAPPLIED_VALUES))))
    assert restoring.stored_until == UNAPPLIED_VALUES - 1
    assert restoring.get(b"0") == value(0)
