"""Readers and writers one version apart, in both directions: see docs/compatibility.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from pydantic import BaseModel, create_model

from schemas.base import Contract, Part
from schemas.codec import Malformed, Position, RawRecord, Record, decode, encode
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from schemas.message import Message
from schemas.topics import TOPICS
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream.replay.published import Published
from stream.replay.verdicts import Verdicts
from stream.subscribe.filters import Filter

MOMENT = "2026-01-02T03:04:05Z"
SHORTEST: dict[type[Contract], dict[str, Any]] = {
    Message: {"id": "m", "occurred_at": MOMENT, "user_id": "u", "text": "hi"},
    Transaction: {"id": "t", "occurred_at": MOMENT, "account_id": "a", "amount_minor": 1, "currency": "EUR"},
    Flag: {
        "id": "f", "kind": "message", "event": {"topic": "m", "partition": 0, "offset": 1, "id": "e"}, "entity": "u", "occurred_at": MOMENT,
        "flagged_at": MOMENT, "labels": [{"name": "spam", "score": 0.5, "threshold": 0.5, "severity": "low"}], "decision": "review",
        "tier": "t", "provenance": {"model": "m", "policy": "p"},
    },
    Verdict: {"id": "v", "event_id": "e", "label": "spam", "outcome": "confirmed", "source": "s", "occurred_at": MOMENT},
    DeadLetter: {"id": "d", "topic": "t", "partition": 0, "offset": 0, "error_class": "E", "error_text": "t", "first_seen": MOMENT},
}  # fmt: skip
"""What the first version of each contract demanded, and so all that any version may."""
FULL: dict[type[Contract], dict[str, Any]] = {
    Message: {**SHORTEST[Message], "channel_id": "c", "lang": "en", "reply_to": "r", "tenant": "x"},
    Transaction: {
        **SHORTEST[Transaction], "card_id": "c", "merchant_id": "m", "terminal_id": "t", "mcc": "5411", "channel": "pos", "country": "DE",
        "payee_id": "p", "device_id": "d", "tenant": "x",
    },
    Flag: {
        **SHORTEST[Flag], "reasons": [{"code": "c", "text": "t", "span": [0, 2]}], "mode": "shadow", "risk_score": 7, "risk_level": "elevated",
        "not_assessed": ["terminal"],
        "timing": {"queue_ms": 1.0, "score_ms": 2.0, "total_ms": 3.0}, "tenant": "x",
        "provenance": {"model": "m", "policy": "p", "tokenizer": "t", "normaliser": "n"},
    },
    Verdict: {**SHORTEST[Verdict], "flag_id": "f", "supersedes": "w"},
    DeadLetter: {
        **SHORTEST[DeadLetter], "key": "aw==", "value": "dg==", "headers": [{"name": "h", "value": "aA=="}], "attempt": 2, "sink": "hook",
        "response": {"status": 500, "body": "b"}, "retried": {"at": MOMENT, "topic": "t", "partition": 0, "offset": 3},
    },
}  # fmt: skip
"""Each with every optional field."""
CASES = pytest.mark.parametrize("contract", SHORTEST, ids=lambda contract: contract.__name__)


def raw(value: object) -> RawRecord:
    return RawRecord(Position("t", 0, 0), None, value if isinstance(value, bytes) else json.dumps(value).encode(), 0)


def read(contract: type[Contract], value: object) -> Any:
    found = decode(contract, raw(value))
    assert isinstance(found, Record), found
    return found.body


def written(body: Contract) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(encode(body)))


def parts_of(contract: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for field in contract.model_fields.values():
        for found in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(found, type) and issubclass(found, Part):
                yield found
                yield from parts_of(found)


def without(contract: type[Contract], name: str) -> type[Contract]:
    """`contract` as it was before the field `name` came."""
    kept = {one: (field.annotation, field) for one, field in contract.model_fields.items() if one not in (name, "version")}
    return create_model(f"{contract.__name__}Before", __base__=Contract, **kept)  # type: ignore[call-overload, no-any-return]  # fields by name


OPTIONAL = [(contract, name) for contract in SHORTEST for name in contract.model_fields if name in FULL[contract] and name not in SHORTEST[contract]]


def test_every_contract_of_a_topic_is_looked_at() -> None:
    assert {topic.payload for topic in TOPICS} == set(SHORTEST)
    for contract, sample in FULL.items():
        assert set(sample) >= set(contract.model_fields) - {"version"}, "a new field belongs into FULL"


@CASES
def test_no_version_demands_more_than_the_first(contract: type[Contract]) -> None:
    required = {name for name, field in contract.model_fields.items() if field.is_required()}
    assert required == set(SHORTEST[contract]), "a new field is optional, and no field goes"
    assert written(read(contract, SHORTEST[contract])).items() >= SHORTEST[contract].items()


@CASES
def test_every_part_of_a_contract_keeps_what_it_does_not_know(contract: type[Contract]) -> None:
    assert all(part.model_config["extra"] == "allow" for part in [contract, *parts_of(contract)])


# An older reader, a newer writer.


@pytest.mark.parametrize(("contract", "name"), OPTIONAL, ids=lambda value: getattr(value, "__name__", value))
def test_a_reader_from_before_a_field_reads_the_record_and_passes_the_field_on(contract: type[Contract], name: str) -> None:
    older = without(contract, name)
    assert name not in older.model_fields
    passed_on = encode(read(older, FULL[contract]))
    assert read(contract, passed_on) == read(contract, FULL[contract])


@CASES
def test_fields_that_no_version_knows_yet_are_kept_and_passed_on(contract: type[Contract]) -> None:
    newer = {**FULL[contract], "weight": 2.5, "notes": ["a", {"b": None}], "größe": 2**70, "model_dump": "x"}
    assert written(read(contract, newer)).items() >= newer.items()


def test_fields_inside_a_part_are_kept_too() -> None:
    sample = json.loads(json.dumps(FULL[Flag]))
    sample["labels"][0]["category"] = sample["event"]["cluster"] = sample["reasons"][0]["url"] = "x"
    sample["provenance"]["dataset"] = sample["timing"]["network_ms"] = 4
    found = written(read(Flag, sample))
    assert all(found[name] == sample[name] for name in ("labels", "event", "reasons", "provenance", "timing"))


WORDS = [("kind", "image"), ("decision", "hold"), ("mode", "canary"), ("risk_level", "severe")]


@pytest.mark.parametrize(("field", "word"), WORDS)
def test_a_flag_with_a_word_that_came_later_is_read_and_passed_on(field: str, word: str) -> None:
    assert written(read(Flag, {**FULL[Flag], field: word}))[field] == word


@pytest.mark.parametrize("word", ["", 5, None, ["block"], "x" * 300])
def test_what_is_no_word_is_no_flag(word: object) -> None:
    for field in ("kind", "decision", "mode"):
        assert isinstance(decode(Flag, raw({**FULL[Flag], field: word})), Malformed)


def severe(severity: str, decision: str = "review") -> Flag:
    label = {"name": "gore", "score": 0.9, "threshold": 0.5, "severity": severity}
    return cast("Flag", read(Flag, {**FULL[Flag], "labels": [label], "decision": decision}))


def test_a_severity_that_came_later_is_never_missed_by_who_wants_the_severe_ones() -> None:
    assert Filter.of(min_severity="critical").accepts(severe("catastrophic"))
    assert not Filter.of(min_severity="critical").accepts(severe("high"))


def test_a_decision_that_came_later_is_none_of_those_asked_for() -> None:
    assert not Filter.of(decisions={"block"}).accepts(severe("high", "hold"))
    assert Filter.of().accepts(severe("high", "hold"))


def test_a_replay_counts_a_decision_that_came_later_as_one_to_look_at() -> None:
    value = encode(severe("high", "hold").model_copy(update={"mode": "live"}))
    assert Published.of([[raw(value)]], kind="message", topic=None).decisions.tolist() == [1]


def test_an_outcome_that_came_later_is_refused_and_never_taken_for_a_no() -> None:
    assert isinstance(decode(Verdict, raw({**FULL[Verdict], "outcome": "partly"})), Malformed)
    found = Verdicts.of([[raw({**FULL[Verdict], "outcome": "partly"})]])
    assert (found.count, found.unreadable) == (0, 1)


@CASES
@pytest.mark.parametrize("version", [2, 0, "1.1", None])
def test_another_version_is_refused_whole(contract: type[Contract], version: object) -> None:
    found = decode(contract, raw({**SHORTEST[contract], "version": version}))
    assert isinstance(found, Malformed)
    assert found.reason.startswith("version")


# A newer reader, an older writer.


@pytest.mark.parametrize(("contract", "name"), OPTIONAL, ids=lambda value: getattr(value, "__name__", value))
def test_a_record_from_before_a_field_is_read_and_passed_on_without_it(contract: type[Contract], name: str) -> None:
    sample = {one: value for one, value in FULL[contract].items() if one != name}
    body = read(contract, encode(read(without(contract, name), sample)))
    field = contract.model_fields[name]
    assert getattr(body, name) == field.get_default()
    assert written(body).get(name) == (None if field.default is None else json.loads(json.dumps(field.default)))


@CASES
def test_a_reader_with_a_new_optional_field_reads_what_is_there_today(contract: type[Contract]) -> None:
    newer = create_model("Newer", __base__=contract, weight=(float | None, None), notes=(list[str], ["none"]))
    body = read(newer, FULL[contract])
    assert (body.model_dump()["weight"], body.model_dump()["notes"]) == (None, ["none"])


@CASES
def test_a_record_without_its_version_is_one_of_version_1(contract: type[Contract]) -> None:
    assert read(contract, SHORTEST[contract]).version == 1
