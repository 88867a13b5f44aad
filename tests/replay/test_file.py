from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from schemas.codec import RawRecord
from stream.errors import UsageError
from stream.mapping import FieldMap
from stream.replay.file import open_file
from stream.replay.request import Request
from stream.replay.run import replay
from stream.replay.window import Bound, bound, check_order, span_ms
from stream.settings import load

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def read(path: Path, folder: Path, *maps: str, sets: tuple[str, ...] = (), **limits: Any) -> dict[int, list[RawRecord]]:
    source = open_file(path, "transaction", folder=folder, fields=FieldMap.parse(maps, sets), **limits)
    return {part.number: [raw for batch in source.batches(part, size=7, begin=part.start) for raw in batch] for part in source.parts}


def write(path: Path, events: list[Any]) -> Path:
    path.write_text("".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events))
    return path


def test_each_entity_is_read_in_the_order_of_event_time(kit: Any, tmp_path: Path) -> None:
    events = [kit.transaction((number * 37) % 100, 100, card=number % 9) for number in range(100)]
    parts = read(write(tmp_path / "in.jsonl", events), tmp_path / "staged")
    found = [json.loads(raw.value or b"") for records in parts.values() for raw in records]
    assert sorted(event["id"] for event in found) == sorted(event["id"] for event in events)
    homes: dict[str, set[int]] = {}
    for number, records in parts.items():
        times = [raw.timestamp_ms for raw in records]
        assert times == sorted(times)
        assert [raw.at.offset for raw in records] == list(range(len(records)))
        for raw in records:
            homes.setdefault(json.loads(raw.value or b"")["card_id"], set()).add(number)
    assert len(homes) == 9
    assert all(len(home) == 1 for home in homes.values())


def test_lines_that_are_no_event_are_dead_letters(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", ["{", "[1]", "", kit.transaction(1, 5), '{"id": "x"}', '{"id":"y","occurred_at":"never"}'])
    summary = replay(load(environ={}), Request(file=path, kind="transaction", folder=tmp_path / "run", processes=1)).to_json()
    assert (summary["events"], summary["dead_letters"]) == (5, 4)


def test_parquet_columns_are_mapped_to_our_fields(tmp_path: Path) -> None:
    times = [datetime(2018, 4, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(hours=hour) for hour in (2, 0, 1)]
    table = pa.table({"transaction_id": [1, 2, 3], "occurred_at": times, "customer_id": [7, 7, 7], "amount_minor": [100, 200, 300]})
    parquet.write_table(table, tmp_path / "in.parquet")
    parts = read(tmp_path / "in.parquet", tmp_path / "staged", "account_id=customer_id", sets=("currency=EUR",))
    (records,) = (held for held in parts.values() if held)
    assert [json.loads(raw.value or b"")["id"] for raw in records] == [2, 3, 1]
    assert json.loads(records[0].value or b"") == {
        "id": 2, "account_id": 7, "currency": "EUR", "amount_minor": 200, "occurred_at": "2018-04-01T00:00:00",
    }
    assert {raw.key for raw in records} == {b"7"}


def test_since_until_and_warm_up_bound_a_file_by_event_time(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 100) for number in range(100)])
    since, until = kit.START + timedelta(hours=6), kit.START + timedelta(hours=12)
    request = Request(
        file=path, kind="transaction", since=since.isoformat(), until=until.isoformat(), warmup="2h", folder=tmp_path / "run", processes=1
    )
    summary = replay(load(environ={}), request).to_json()
    inside = sum(since <= kit.START + timedelta(minutes=13 * number) < until for number in range(100))
    before = sum(since - timedelta(hours=2) <= kit.START + timedelta(minutes=13 * number) < since for number in range(100))
    assert (summary["events"], summary["warmup"]) == (inside, before)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("in.csv", "a", "holds no records"),
        ("in.jsonl", "", "holds no records"),
        ("in.jsonl", '{"id": "x"}\n', "occurred_at"),
        ("in.parquet", "not parquet", "cannot be read"),
    ],
)
def test_files_that_cannot_be_replayed_are_named_with_the_reason(name: str, content: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read(tmp_path / name, tmp_path / "staged")


@pytest.mark.parametrize("at", ["1e300", '"99999999999999999999"', "99999999999999999999999", '"9999-12-31T23:59:59Z"', "-1e300"])
def test_times_beyond_all_reason_are_dead_letters_and_no_end_of_the_replay(at: str, kit: Any, tmp_path: Path) -> None:
    whole = json.dumps(kit.transaction(1, 5))
    odd = json.dumps(kit.transaction(2, 6)).replace(json.dumps(kit.transaction(2, 6)["occurred_at"]), at)
    (tmp_path / "in.jsonl").write_text(f"{whole}\n{odd}\n")
    found = read(tmp_path / "in.jsonl", tmp_path / "staged")
    assert sum(len(records) for records in found.values()) == 2


def test_a_parquet_file_that_is_damaged_further_down_is_named(kit: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    parquet.write_table(pa.Table.from_pylist([kit.transaction(number, number) for number in range(5_000)]), path, row_group_size=1_000)
    whole = bytearray(path.read_bytes())
    middle = parquet.ParquetFile(path).metadata.row_group(3).column(0).dictionary_page_offset or len(whole) // 2
    whole[middle : middle + 2_000] = b"\x5a" * 2_000
    path.write_bytes(whole)
    with pytest.raises(UsageError, match=r"in\.parquet: damaged after row \d+"):
        read(path, tmp_path / "staged")


@pytest.mark.parametrize(
    ("maps", "sets", "complaint"),
    [
        (["acount_id=customer"], [], "--map acount_id=…: a transaction has no such field; it has id, "),
        ([], ["curency=EUR"], "--set curency=…: a transaction has no such field"),
        (["account_id=nosuch"], [], r"--map account_id=nosuch: no row of .*in\.jsonl fills it; its columns are id, occurred_at, "),
        (["occurred_at={day} {hour}"], [], "no row of .* fills it"),
    ],
)
def test_a_mapping_that_maps_nothing_is_a_mistake(maps: list[str], sets: list[str], complaint: str, kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    with pytest.raises(UsageError, match=complaint):
        open_file(path, "transaction", folder=tmp_path / "staged", fields=FieldMap.parse(maps, sets))


def test_a_range_without_records_is_told_with_the_times_of_those_that_are_there(kit: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(number, 5, card=number) for number in range(3)])
    with pytest.raises(UsageError, match="no records in that range: its records are of 2026-01-05 00:00:00Z to 2026-01-05 00:26:00Z"):
        read(path, tmp_path / "staged", since=Bound(at_ms=1_900_000_000_000), warmup_ms=0)
    asked = Request(file=path, kind="transaction", since="2026-01-06", folder=tmp_path / "run", processes=1)
    (gap,) = replay(load(environ={}), asked).to_json()["gaps"]
    assert gap.startswith("all of it: nothing lies in that range: its records are of 2026-01-05 00:00:00Z")


def test_a_range_that_ends_before_it_begins_is_wrong_use() -> None:
    check_order(Bound(at_ms=1), Bound(at_ms=2))
    check_order(Bound(at_ms=5), Bound(offset=2))
    for since, until in ((Bound(at_ms=2), Bound(at_ms=2)), (Bound(offset=5), Bound(offset=4))):
        with pytest.raises(UsageError, match="--until is not after --since"):
            check_order(since, until)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"in\.jsonl: cannot be read: No such file"):
        read(tmp_path / "in.jsonl", tmp_path / "staged")


def test_a_file_has_no_offsets(kit: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--since: a file has no offsets"):
        read(write(tmp_path / "in.jsonl", []), tmp_path / "staged", since=Bound(offset=3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", Bound(at_ms=1_769_817_600_000)),
        ("2026-01-31T00:00+00:00", Bound(at_ms=1_769_817_600_000)),
        ("1d", Bound(at_ms=1_769_817_600_000)),
        ("1200", Bound(offset=1200)),
        ("0:5,3:7", Bound(offsets=((0, 5), (3, 7)))),
    ],
)
def test_bounds_are_times_or_offsets(text: str, expected: Bound) -> None:
    assert bound(text, name="--since", now=NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "1:", "0:1,2", "2026-13-01"])
def test_other_bounds_are_wrong_use(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        bound(text, name="--since", now=NOW)


def test_spans_have_units() -> None:
    assert (span_ms("90m", name="--warmup"), span_ms("0", name="--warmup")) == (5_400_000, 0)
    with pytest.raises(UsageError, match="--warmup"):
        span_ms("30", name="--warmup")


def test_a_folder_that_is_no_replay_is_left_alone(kit: Any, tmp_path: Path, fresh: Callable[[], Path]) -> None:
    path = write(tmp_path / "in.jsonl", [kit.transaction(1, 5)])
    folder = fresh()
    folder.mkdir()
    (folder / "precious").write_text("kept")
    with pytest.raises(UsageError, match="not the folder of a replay"):
        replay(load(environ={}), Request(file=path, kind="transaction", folder=folder))
    assert (folder / "precious").read_text() == "kept"
