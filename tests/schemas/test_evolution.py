"""Readers and writers one version apart, in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import create_model

from schemas.base import Contract
from schemas.codec import Malformed, Position, RawRecord, Record, decode, encode
from schemas.topics import TOPICS

SAMPLES: dict[str, dict[str, Any]] = {
    "messages": {"id": "m", "occurred_at": 0, "user_id": "u", "text": "hi"},
    "transactions": {"id": "t", "occurred_at": 0, "account_id": "a", "amount_minor": 1, "currency": "EUR"},
    "flags": {
        "id": "f", "kind": "message", "event": {"topic": "m", "partition": 0, "offset": 1, "id": "e"}, "entity": "u", "occurred_at": 0,
        "flagged_at": 0, "labels": [{"name": "spam", "score": 0.5, "threshold": 0.5, "severity": "low"}], "decision": "review", "tier": "t",
        "provenance": {"model": "m", "policy": "p"},
    },
    "verdicts": {"id": "v", "event_id": "e", "label": "spam", "outcome": "confirmed", "source": "s", "occurred_at": 0},
    "dead-letters": {"id": "d", "topic": "t", "partition": 0, "offset": 0, "error_class": "E", "error_text": "t", "first_seen": 0},
}  # fmt: skip
SAMPLES["action-retries"] = SAMPLES["flags"]
CASES = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def raw(value: bytes) -> RawRecord:
    return RawRecord(Position("t", 0, 0), None, value, 0)


@CASES
def test_a_newer_writers_fields_are_read_kept_and_passed_on(topic: Any) -> None:
    newer = create_model("Newer", __base__=topic.payload, weight=(float, 1.0), notes=(list[str], []))
    sent = newer.model_validate({**SAMPLES[topic.name], "weight": 2.5, "notes": ["a"]})
    read = decode(topic.payload, raw(encode(sent)))
    assert isinstance(read, Record)
    passed_on = decode(newer, raw(encode(read.body)))
    assert isinstance(passed_on, Record)
    assert passed_on.body == sent


@CASES
def test_an_older_writers_record_is_read_by_a_reader_with_a_new_optional_field(topic: Any) -> None:
    newer: type[Contract] = create_model("Newer", __base__=topic.payload, weight=(float | None, None))
    read = decode(newer, raw(json.dumps(SAMPLES[topic.name]).encode()))
    assert isinstance(read, Record)
    assert read.body.model_dump()["weight"] is None


def test_new_fields_inside_a_flag_are_kept_too() -> None:
    sample = json.loads(json.dumps(SAMPLES["flags"]))
    sample["labels"][0]["category"] = "x"
    flags = next(topic for topic in TOPICS if topic.name == "flags")
    read = decode(flags.payload, raw(json.dumps(sample).encode()))
    assert isinstance(read, Record)
    assert json.loads(encode(read.body))["labels"][0]["category"] == "x"


@CASES
def test_a_version_that_is_not_known_is_refused(topic: Any) -> None:
    found = decode(topic.payload, raw(json.dumps({**SAMPLES[topic.name], "version": 2}).encode()))
    assert isinstance(found, Malformed)
    assert found.reason.startswith("version")
