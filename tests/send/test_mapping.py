"""Rows of all kinds of files to records."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.transaction import Transaction
from stream.errors import UsageError
from stream.mapping import Completion, FieldMap, MappingError, minor
from stream.rows import Row, parsed

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def complete(
    topic: str, fields: dict[str, Any], *, maps: tuple[str, ...] = (), sets: tuple[str, ...] = (), table: bool = True
) -> dict[str, Any]:
    return Completion(topic, FieldMap.parse(maps, sets), file="f.csv", now=NOW)(Row(7, None if table else b"{}", fields))


def test_a_text_alone_becomes_a_message_of_its_own_writer_with_an_id_of_its_place() -> None:
    assert complete("messages", {"text": "hi", "label": 1}) == {"text": "hi", "id": "f.csv:7", "user_id": "f.csv:7", "occurred_at": NOW}


def test_usual_names_are_found_whatever_their_capitals_and_the_first_one_wins() -> None:
    row = {"Comment ID": "c", "Author": "u", "Created-At": 5, "date": 9, "Body": "hi"}
    assert complete("messages", row) == {"id": "c", "user_id": "u", "occurred_at": 5, "text": "hi"}


def test_the_handbooks_columns_need_no_flags() -> None:
    row = {"transaction_id": 3, "occurred_at": NOW, "customer_id": 5, "terminal_id": 6, "amount_minor": 1234, "fraud": 0}
    record = complete("transactions", row)
    assert record == {
        "id": 3, "occurred_at": NOW, "account_id": 5, "terminal_id": 6, "amount_minor": 1234, "currency": "XXX",
    }
    assert Transaction.model_validate(record).entity == "5"


def test_a_map_may_put_columns_together_and_a_set_gives_a_constant() -> None:
    row = {"User": 0, "Card": 1, "Year": 2002, "Month": 9, "Day": 1, "Time": "06:21", "Amount": "$1,134.09"}
    record = complete(
        "transactions", row, maps=("occurred_at={Year}-{Month:02}-{Day:02} {Time}", "card_id={User}-{Card}"), sets=("currency=USD",)
    )
    assert record["amount_minor"] == 113_409
    assert record["card_id"] == "0-1"
    assert Transaction.model_validate(record).occurred_at == datetime(2002, 9, 1, 6, 21, tzinfo=UTC)


def test_a_line_keeps_the_fields_that_nobody_knows_and_a_table_does_not() -> None:
    assert complete("messages", {"text": "a", "mood": 1}, table=False)["mood"] == 1
    assert "mood" not in complete("messages", {"text": "a", "mood": 1})
    assert complete("messages", {"text": "a", "mood": 1}, maps=("mood=mood",))["mood"] == 1


@pytest.mark.parametrize(
    ("amount", "currency", "expected"), [(12.5, "EUR", 1250), ("1200", "JPY", 1200), ("$-3.10", "USD", -310), (1.234, "KWD", 1234)]
)
def test_an_amount_becomes_minor_units_of_its_currency(amount: object, currency: str, expected: int) -> None:
    assert minor(amount, currency) == expected


def test_what_is_no_amount_is_a_fault_that_does_not_quote_it() -> None:
    with pytest.raises(MappingError, match=r"^amount: not a number$"):
        minor("secret", "EUR")


@given(st.text())
def test_every_text_as_an_amount_is_a_number_or_a_mapping_error(text: str) -> None:
    with contextlib.suppress(MappingError):
        assert isinstance(minor(text, "EUR"), int)


def test_a_template_that_a_row_does_not_fill_is_a_fault_of_the_row() -> None:
    with pytest.raises(MappingError, match="occurred_at"):
        complete("messages", {"text": "x"}, maps=("occurred_at={Year}",))


@pytest.mark.parametrize("bad", ["text", "=x", "text=", "text={a.b}", "text={a[0]}", "text={", "text={}"])
def test_a_map_that_cannot_be_meant_is_wrong_use(bad: str) -> None:
    with pytest.raises(UsageError, match="--map"):
        FieldMap.parse([bad])


@given(st.binary())
def test_every_line_is_a_row_with_fields_or_a_fault(raw: bytes) -> None:
    row = parsed(1, raw)
    assert (row.fields is None) == bool(row.fault)


@given(
    st.dictionaries(st.text(max_size=12), st.none() | st.integers() | st.floats() | st.text()),
    st.sampled_from(["messages", "transactions", "verdicts"]),
)
def test_completing_any_row_gives_a_record_or_a_mapping_error(fields: dict[str, Any], topic: str) -> None:
    with contextlib.suppress(MappingError):
        assert complete(topic, fields, table=False)["id"] is not None
