"""What is generated for other languages: JSON Schemas and the AsyncAPI document."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.asyncapi import document
from schemas.export import files, json_schema, write
from schemas.labels import BY_NAME, LABELS, MESSAGE_LABELS, SEVERITIES
from schemas.topics import TOPICS

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(files()))
def test_the_reference_is_up_to_date(name: str) -> None:
    assert (REFERENCE / name).read_text() == files()[name], "run: python -m schemas.export docs/reference"


def test_the_reference_holds_nothing_that_is_no_longer_generated() -> None:
    assert {path.name for path in REFERENCE.glob("*.json")} == set(files())


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    assert set(write(tmp_path / "new")) == set(files())
    assert write(tmp_path / "new") == []


def test_every_field_of_a_contract_is_in_its_schema() -> None:
    for topic in TOPICS:
        schema = json_schema(topic.payload)
        assert set(schema["properties"]) == set(topic.payload.model_fields)
        required = {name for name, field in topic.payload.model_fields.items() if field.is_required()}
        assert set(schema["required"]) == required
        assert schema["additionalProperties"] is True, "a reader one version behind must not refuse new fields"


def test_every_topic_is_a_channel_with_an_operation_seen_from_us() -> None:
    found = document()
    assert [channel["address"] for channel in found["channels"].values()] == [topic.name for topic in TOPICS]
    actions = {operation["channel"]["$ref"]: operation["action"] for operation in found["operations"].values()}
    assert actions == {
        "#/channels/messages": "receive", "#/channels/transactions": "receive", "#/channels/verdicts": "receive",
        "#/channels/flags": "send", "#/channels/deadLetters": "send",
        "#/channels/actionRetries": "receive",
    }  # fmt: skip


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere() -> None:
    found = document()
    names = set(references(found))
    assert len(names) > 15
    for name in names:
        place: Any = found
        for step in name.removeprefix("#/").split("/"):
            place = place[step]
        assert place


def test_names_in_the_document_are_identifiers() -> None:
    found = document()
    for name in [*found["channels"], *found["operations"], *found["components"]["schemas"]]:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name)


def test_the_prefix_and_the_broker_are_those_of_the_cluster() -> None:
    found = document(prefix="eu.", broker="a:1,b:2")
    assert found["channels"]["flags"]["address"] == found["channels"]["flags"]["bindings"]["kafka"]["topic"] == "eu.flags"
    assert [server["host"] for server in found["servers"].values()] == ["a:1", "b:2"]


@pytest.mark.timeout(240)  # the first run installs the packages
def test_the_official_parser_accepts_the_document(tmp_path: Path, javascript: Path) -> None:
    file = tmp_path / "asyncapi.json"
    file.write_text(json.dumps(document(prefix="p.", broker="localhost:9092")))
    done = subprocess.run(["node", "asyncapi-check.mjs", str(file)], cwd=javascript, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_every_label_says_what_it_means() -> None:
    assert len(BY_NAME) == len(LABELS)
    assert MESSAGE_LABELS == ("harassment", "hate", "threat", "sexual", "self_harm", "spam", "scam", "profanity")
    for label in LABELS:
        assert label.definition.endswith(".")
        assert label.severity in SEVERITIES


def test_topics_have_distinct_names_and_keep_records_for_a_while() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert all(topic.retention_ms >= 7 * 24 * 3600 * 1000 and topic.partitions > 0 for topic in TOPICS)
