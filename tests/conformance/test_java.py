"""Kafka's own client, in Java, through one scenario on either broker."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.kafka import KafkaMissingError
from deploy.kafka.jars import java, ready_jars

SCENARIO = Path(__file__).parent / "java" / "Scenario.java"


@pytest.mark.kafka  # for its jars, on both brokers
def test_kafkas_own_client_finds_everything_as_it_should_be(broker: str, unique: Callable[[str], str]) -> None:
    try:
        command = [str(java()), "-Xmx256m", "-cp", f"{ready_jars()}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", str(SCENARIO)]
    except KafkaMissingError as error:
        pytest.skip(f"Kafka's jars: {error}")
    an_hour_ago = str(int(time.time() * 1000) - 3_600_000)
    done = subprocess.run(
        [*command, broker, unique("topic"), unique("group"), an_hour_ago], capture_output=True, text=True, check=False, timeout=100
    )
    told = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert told == {
        "exists": "TopicExistsException",
        "configs": "86400000 1048576 delete,compact",
        "partitions": "2",
        "nodes": "1",
        "wrote none": "0 to 9",
        "wrote gzip": "10 to 19",
        "wrote snappy": "20 to 29",
        "wrote lz4": "30 to 39",
        "wrote zstd": "40 to 49",
        "too large": "RecordTooLargeException",
        "read": "50 {gzip=9, lz=9, none=9, snappy=9, zstd=9} nulls 5",
        "headers": "a=1 none=null",
        "committed": "50",
        "by time": "3 null",
        "ends": "0 50",
        "newest": "9",
        "group": "Stable 1",
        "resumes at": "50",
        "first now": "20",
        "group offsets": "50",
        "group gone": "GroupIdNotFoundException",
        "topic gone": "UnknownTopicOrPartitionException",
    }, done.stderr[-3000:]
