"""docs/brokers.md says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from deploy.kafka.jars import FOLDER_VARIABLE
from schemas.topics import DAY_MS
from stream.embedded import BrokerSettings
from stream.settings import PREFIX, Settings
from stream.topics import ALL, MAX_MESSAGE_BYTES

PAGE = (Path(__file__).parent.parent.parent / "docs" / "brokers.md").read_text()


def test_the_table_of_topics_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| (\d+) \| (\d+) days \|", PAGE, flags=re.MULTILINE)
    assert {(name, int(partitions), int(days) * DAY_MS) for name, partitions, days in rows} == {
        (topic.name, topic.partitions, topic.retention_ms) for topic in ALL
    }


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(rf"{PREFIX}[A-Z_]+", PAGE)) - {FOLDER_VARIABLE}
    assert {name.removeprefix(PREFIX).lower() for name in named} <= set(Settings.model_fields)


def test_the_embedded_brokers_default_is_the_one_that_is_described() -> None:
    assert {field.name for field in fields(BrokerSettings)} >= {"fsync", "fsync_interval_s"}
    defaults = BrokerSettings()
    assert f"`{defaults.fsync}` (default: {defaults.fsync_interval_s:.0f} s)" in PAGE


def test_the_size_of_a_dead_letter_is_the_one_in_the_code() -> None:
    assert f"{int(MAX_MESSAGE_BYTES['dead-letters']) >> 20} MiB" in PAGE
