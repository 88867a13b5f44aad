"""No contract accepts a malformed record, whatever record it was made from."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from schemas.codec import Malformed, Position, RawRecord, Record, decode
from schemas.topics import BY_NAME
from stream.traffic.generate import traffic
from stream.traffic.malformed import FAULTS, spoil

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(("topic", "fault"), [(topic, fault) for topic, faults in FAULTS.items() for fault in faults])
def test_a_fault_makes_a_readable_record_unreadable(topic: str, fault: str) -> None:
    events = [event for event in islice(traffic(1, rate=1.0, start=START, cards=25), 4000) if event.topic == topic]
    for event in events[-20:]:
        good, bad = (
            RawRecord(at=Position(topic, 0, 0), key=event.key, value=value, timestamp_ms=0)
            for value in (event.value, spoil(topic, event.value, fault))
        )
        if event.truth.kind != "malformed":
            assert isinstance(decode(BY_NAME[topic].payload, good), Record)
            assert isinstance(decode(BY_NAME[topic].payload, bad), Malformed)


def test_every_topic_of_people_and_cards_has_faults() -> None:
    assert all(len(FAULTS[topic]) >= 10 for topic in ("messages", "transactions"))
