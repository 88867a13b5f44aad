"""Files into topics, over real sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer

from schemas.message import Message
from schemas.transaction import Transaction
from stream.embedded import running_broker
from stream.errors import BrokerError, UsageError
from stream.send import Sent, send
from stream.settings import Settings, load


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running.address


@pytest.fixture
def settings(address: str, request: pytest.FixtureRequest) -> Settings:
    return load({"broker": address, "prefix": f"{abs(hash(request.node.name))}."}, environ={})


def received(settings: Settings, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        f"{settings.prefix}{topic}", bootstrap_servers=settings.broker, auto_offset_reset="earliest", consumer_timeout_ms=500
    )
    records: list[Any] = []
    deadline_s = time.monotonic() + 10
    while len(records) < count and time.monotonic() < deadline_s:
        records.extend(record for many in consumer.poll(200).values() for record in many)
    consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


async def test_messages_arrive_whole_keyed_by_their_user_with_cloud_event_headers(settings: Settings, tmp_path: Path) -> None:
    full = {"id": "a", "text": "hi", "user_id": "u", "occurred_at": "2026-01-01T00:00:00Z", "extra": 1}
    file = lines(tmp_path / "m.jsonl", full, "", {"text": "yo"})
    done = await send(settings, "messages", file)
    assert (done.sent, done.rejected, done.exit_code) == (2, 0, 0)
    records = {Message.model_validate_json(record.value).id: record for record in received(settings, "messages", 2)}
    assert set(records) == {"a", "m.jsonl:3"}
    assert records["a"].key == b"u"
    assert json.loads(records["a"].value)["extra"] == 1
    headers = dict(records["a"].headers)
    assert headers["ce_id"] == b"a"
    assert headers["ce_type"] == b"flagstream.message.v1"


async def test_transactions_are_keyed_by_card_else_account_or_as_told(settings: Settings, tmp_path: Path) -> None:
    common = {"occurred_at": 1, "amount_minor": 5, "currency": "EUR", "account_id": "acc", "terminal_id": "t"}
    file = lines(tmp_path / "t.jsonl", {**common, "card_id": "card"}, common)
    await send(settings, "transactions", file)
    await send(settings, "transactions", file, key="terminal_id")
    assert sorted(record.key for record in received(settings, "transactions", 4)) == [b"acc", b"card", b"t", b"t"]


async def test_rows_that_do_not_fit_are_counted_with_the_first_reasons(settings: Settings, tmp_path: Path) -> None:
    secret = "private words"
    late = {"text": "a", "occurred_at": "tomorrow " + secret}
    file = lines(tmp_path / "m.jsonl", {"text": "ok"}, secret, '["list"]', {"words": secret}, late)
    done = await send(settings, "messages", file)
    assert (done.sent, done.rejected, done.exit_code) == (1, 4, 1)
    assert done.faults[:3] == ["row 2: not JSON", "row 3: not a JSON object", "row 4: text: Field required"]
    assert secret not in str(done.faults)


async def test_raw_sends_what_does_not_fit_as_it_is(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_bytes(b'not json \xff\n{"text": [5], "user_id": "u"}\n{"text": "fine"}\n')
    done = await send(settings, "messages", file, raw=True)
    assert (done.sent, done.raw, done.rejected) == (3, 2, 0)
    values = {record.value: record.key for record in received(settings, "messages", 3)}
    assert values[b"not json \xff"] is None
    assert values[b'{"text": [5], "user_id": "u"}'] == b"u"


async def test_a_csv_is_read_by_its_columns(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("TX,when,who,Amount\n1,2026-01-01 10:00:00,bob,12.50\n2,2026-01-01 11:00:00,eve,\n")
    done = await send(
        settings, "transactions", file, maps=["id=TX", "occurred_at=when", "account_id=who"], constants=["currency=USD", "channel=web"]
    )
    assert (done.sent, done.rejected) == (1, 1)
    (record,) = received(settings, "transactions", 1)
    body = Transaction.model_validate_json(record.value)
    assert (body.id, body.account_id, body.amount_minor, body.currency, body.channel) == ("1", "bob", 1250, "USD", "web")


async def test_parquet_is_read_and_ids_are_the_same_each_time(settings: Settings, tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "m.parquet"
    pq.write_table(pa.table({"text": [f"text {number}" for number in range(2_500)], "spam": [0.0] * 2_500}), file)
    for _ in range(2):
        assert (await send(settings, "messages", file, limit=2_400)).sent == 2_400
    ids = [Message.model_validate_json(record.value).id for record in received(settings, "messages", 4_800)]
    assert sorted(ids) == sorted(f"m.parquet:{number}" for number in range(1, 2_401) for _ in range(2))


async def test_without_pyarrow_parquet_names_the_extra(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"flagstream\[parquet\]"):
        await send(settings, "messages", tmp_path / "x.parquet")


async def test_a_rate_is_kept_and_progress_is_told(settings: Settings, tmp_path: Path) -> None:
    file = lines(tmp_path / "m.jsonl", *({"text": str(number)} for number in range(60)))
    seen: list[int] = []
    started_s = time.monotonic()
    done = await send(settings, "messages", file, rate=60, on_progress=lambda sent: seen.append(sent.sent))
    assert done.sent == 60
    assert 0.9 < time.monotonic() - started_s < 3
    assert seen == sorted(seen)
    assert len(seen) > 10


@pytest.mark.parametrize("topic", ["messages", "transactions"])
async def test_the_data_sets_need_few_flags(settings: Settings, data_dir: Path, topic: str) -> None:
    file = data_dir / ("moderation/sms_spam.parquet" if topic == "messages" else "fraud/transactions.parquet")
    done = await send(settings, topic, file, limit=1_500, constants=["currency=EUR"] if topic == "transactions" else [])
    assert (done.sent, done.rejected) == (1_500, 0)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"topic": "letters"}, UsageError, "unknown topic 'letters'"),
        ({"file": Path("nowhere.jsonl")}, UsageError, "nowhere.jsonl: cannot be read"),
        ({"rate": 0.0}, UsageError, "--rate"),
        ({"settings": load({"broker": "127.0.0.1:1"}, environ={})}, BrokerError, "no Kafka broker answers at 127.0.0.1:1"),
        ({"settings": load(environ={})}, UsageError, "no broker"),
    ],
)
async def test_wrong_use_and_an_absent_broker_are_one_clear_line(
    settings: Settings, tmp_path: Path, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    given = {"settings": settings, "topic": "messages", "file": lines(tmp_path / "m.jsonl", {"text": "a"}), **arguments}
    with pytest.raises(error, match=words):
        await send(given.pop("settings"), given.pop("topic"), given.pop("file"), **given)


def test_nothing_rejected_is_success() -> None:
    assert Sent().exit_code == 0
