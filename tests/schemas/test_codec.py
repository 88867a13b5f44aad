"""Bytes to contracts and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.base import Contract
from schemas.codec import Malformed, Position, RawRecord, Record, decode, decoder, encode
from schemas.dead_letter import DeadLetter
from schemas.flag import EventRef, Flag, LabelScore, Provenance, Reason
from schemas.message import Message
from schemas.topics import TOPICS
from schemas.transaction import MAX_AMOUNT_MINOR, Transaction
from schemas.verdict import Verdict

CONTRACTS = [topic.payload for topic in TOPICS]
NAMES = st.text(min_size=1, max_size=256).filter(lambda text: text.isprintable())
MOMENTS = st.integers(0, 4_102_444_799_999).map(lambda at_ms: datetime.fromtimestamp(at_ms / 1000, UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({name for contract in CONTRACTS for name in contract.model_fields})


def raw(value: bytes | None) -> RawRecord:
    return RawRecord(Position("t", 1, 2), b"key", value, 3)


def message(**changed: Any) -> dict[str, Any]:
    return {"id": "m", "occurred_at": "2026-01-01T00:00:00Z", "user_id": "u", "text": "hi", **changed}


def transaction(**changed: Any) -> dict[str, Any]:
    return {"id": "t", "occurred_at": 0, "account_id": "a", "amount_minor": 1, "currency": "EUR", **changed}


def read(contract: type[Contract], fields: object) -> Record[Any] | Malformed:
    return decode(contract, raw(json.dumps(fields).encode()))


@pytest.mark.parametrize("contract", CONTRACTS)
@given(value=st.none() | st.binary())
@example(value=b"")
@example(value=b"[" * 100_000)
@example(value=b'{"a":' * 50_000)
@example(value=b"\x00\xff")
@example(value=b'{"id": "\\ud800"}')
@example(value=b"1e999999")
def test_any_bytes_decode_to_a_value(contract: type[Contract], value: bytes | None) -> None:
    assert isinstance(decode(contract, raw(value)), Record | Malformed)


@pytest.mark.parametrize("contract", CONTRACTS)
@given(fields=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=12) | JSON)
def test_any_json_decodes_to_a_value_with_a_reason_of_one_line(contract: type[Contract], fields: Any) -> None:
    found = decoder(contract)(raw(json.dumps(fields).encode()))
    if isinstance(found, Malformed):
        assert found.reason
        assert "\n" not in found.reason
        assert len(found.reason) < 300


@given(secret=st.text(st.characters(categories=["L"]), min_size=12, max_size=200))
def test_a_reason_never_quotes_the_record(secret: str) -> None:
    faulty = [{secret: 1}, message(occurred_at=secret), message(text=[secret]), transaction(amount_minor=secret), transaction(version=secret)]
    for fields in faulty:
        for contract in CONTRACTS:
            found = read(contract, fields)
            assert isinstance(found, Record) or secret not in found.reason


def test_a_raw_record_shows_its_place_and_not_its_content() -> None:
    assert repr(raw(b"private")) == "RawRecord(t/1@2)"


@given(st.builds(Message, id=NAMES, occurred_at=MOMENTS, user_id=NAMES, text=st.text().filter(str.isprintable), lang=st.none() | NAMES))
def test_a_message_comes_back_as_it_was(body: Message) -> None:
    assert decode(Message, raw(encode(body))) == Record(raw(encode(body)), body)


@given(
    st.builds(
        Transaction, id=NAMES, occurred_at=MOMENTS, account_id=NAMES, amount_minor=st.integers(0, MAX_AMOUNT_MINOR),
        currency=st.sampled_from(["EUR", "USD"]), card_id=st.none() | NAMES,
    )
)  # fmt: skip
def test_a_transaction_comes_back_as_it_was(body: Transaction) -> None:
    again = decode(Transaction, raw(encode(body)))
    assert isinstance(again, Record)
    assert again.body == body
    assert again.body.entity == (body.card_id or body.account_id)


@given(st.binary(), st.none() | st.binary())
def test_a_dead_letter_carries_any_bytes(value: bytes, key: bytes | None) -> None:
    import base64

    body = DeadLetter(
        id="d", topic="t", partition=0, offset=0, key=None if key is None else base64.b64encode(key), value=base64.b64encode(value),
        error_class="Malformed", error_text="no", first_seen=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    again = decode(DeadLetter, raw(encode(body)))
    assert isinstance(again, Record)
    assert (again.body.value, again.body.key) == (value, key)


def test_a_flag_comes_back_as_it_was_and_leaves_out_what_it_has_not() -> None:
    body = Flag(
        id="f", kind="message", event=EventRef(topic="m", partition=0, offset=1, id="e"), entity="u",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC), flagged_at=datetime(2026, 1, 1, tzinfo=UTC),
        labels=(LabelScore(name="spam", score=0.5, threshold=0.5, severity="low"),), decision="review",
        reasons=(Reason(code="c", text="t", span=(0, 4)),), tier="t", provenance=Provenance(model="m", policy="p"),
    )  # fmt: skip
    again = decode(Flag, raw(encode(body)))
    assert isinstance(again, Record)
    assert again.body == body
    assert "risk_score" not in json.loads(encode(body))


@pytest.mark.parametrize(
    ("contract", "fields"),
    [
        (Message, message(text=None)), (Message, message(id="")), (Message, message(id="x" * 257)), (Message, message(user_id=[])),
        (Message, message(occurred_at="9999-12-31T23:59:59-14:00")), (Message, message(occurred_at="0001-01-01T00:00:00+14:00")),
        (Message, message(occurred_at="2100-01-01T00:00:00Z")), (Message, message(occurred_at=-1)), (Message, message(occurred_at=1e30)),
        (Message, message(version=2)), (Message, message(version="1")), (Transaction, transaction(amount_minor=-1)),
        (Transaction, transaction(amount_minor=MAX_AMOUNT_MINOR + 1)), (Transaction, transaction(amount_minor=1.5)),
        (Transaction, transaction(currency="EURO")),
        (Verdict, {"id": "v", "event_id": "e", "label": "x", "outcome": "maybe", "source": "s", "occurred_at": 0}),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_malformed(contract: type[Contract], fields: dict[str, Any]) -> None:
    assert isinstance(read(contract, fields), Malformed)


def test_what_senders_often_do_is_understood() -> None:
    found = read(Transaction, transaction(id=5, account_id=7, amount_minor="12", currency="eur", occurred_at="2026-01-01 00:00:00"))
    assert isinstance(found, Record)
    assert (found.body.id, found.body.account_id, found.body.amount_minor, found.body.currency) == ("5", "7", 12, "EUR")
    assert found.body.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(-14, 14))
def test_times_are_kept_in_utc(hours: int) -> None:
    local = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=hours)))
    found = read(Message, message(occurred_at=local.isoformat()))
    assert isinstance(found, Record)
    assert found.body.occurred_at == local
    assert found.body.occurred_at.utcoffset() == timedelta(0)


def test_a_tombstone_is_malformed() -> None:
    assert decode(Message, raw(None)) == Malformed(raw(None), "no value (a tombstone)")
