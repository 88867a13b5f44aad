"""What a batch caused is published once the broker can take it, and not at all when the batch went stale."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from kafka import KafkaConsumer

from agents.isolation import dead_letter
from agents.protocol import Outcome
from schemas.codec import Position, RawRecord
from schemas.dead_letter import DeadLetter
from schemas.flag import EventRef, Flag, LabelScore, Provenance
from stream import topics
from stream.delivery import Delivery
from stream.embedded import EmbeddedBroker, ErrorCode, running_broker
from stream.names import Names
from stream.publisher import Publisher, new_producer
from stream.record_batch import Outgoing
from stream.settings import Settings

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with running_broker(tmp_path / "log") as broker:
        topics.create(Settings(broker=broker.address))
        yield broker


@pytest.fixture
async def publisher(own_broker: EmbeddedBroker) -> AsyncIterator[Publisher]:
    producer = new_producer(Settings(broker=own_broker.address))
    await producer.start()
    yield Publisher(producer)
    await producer.stop()


def _flag(number: int) -> Flag:
    return Flag(
        id=f"f{number}", kind="message", event=EventRef(topic="messages", partition=0, offset=number, id=str(number)), entity=f"u{number}",
        occurred_at=NOW, flagged_at=NOW, labels=(LabelScore(name="spam", score=0.9, threshold=0.5, severity="low"),), decision="review",
        tier="t", provenance=Provenance(model="m", policy="p"),
    )


def _published(broker: EmbeddedBroker, topic: str) -> list[tuple[bytes | None, bytes, dict[str, bytes]]]:
    consumer = KafkaConsumer(topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", consumer_timeout_ms=1_500)
    found = [(one.key, one.value, dict(one.headers)) for one in consumer]
    consumer.close()
    return found


async def test_flags_are_keyed_by_entity_and_carry_cloudevents_headers(own_broker: EmbeddedBroker, publisher: Publisher) -> None:
    delivery = Delivery(publisher, Names())
    assert await delivery.publish(Outcome([_flag(1), _flag(2)]), stale=lambda: False)
    found = await asyncio.to_thread(_published, own_broker, "flags")
    assert {key for key, _, _ in found} == {b"u1", b"u2"}
    for _, value, headers in found:
        assert headers["ce_id"].decode() == Flag.model_validate_json(value).id
        assert headers["ce_specversion"] == b"1.0"
        assert {"ce_source", "ce_type", "ce_time"} <= headers.keys()


async def test_a_failing_broker_is_tried_until_it_takes_everything(own_broker: EmbeddedBroker, publisher: Publisher) -> None:
    own_broker.faults.fail_produce(ErrorCode.INVALID_REQUIRED_ACKS, times=6)
    delivery = Delivery(publisher, Names())
    flags = [_flag(number) for number in range(50)]
    assert await delivery.publish(Outcome(flags), stale=lambda: False)
    found = await asyncio.to_thread(_published, own_broker, "flags")
    assert {Flag.model_validate_json(value).id for _, value, _ in found} == {flag.id for flag in flags}


async def test_a_stale_batch_stops_trying(own_broker: EmbeddedBroker, publisher: Publisher) -> None:
    own_broker.faults.fail_produce(ErrorCode.INVALID_REQUIRED_ACKS, times=1_000)
    asked = iter([False, False, True])
    assert not await Delivery(publisher, Names()).publish(Outcome([_flag(1)]), stale=lambda: next(asked))


async def test_placed_runs_tell_the_offsets_of_all_records(publisher: Publisher) -> None:
    placed = await publisher.send([Outgoing("flags", b"k", b"x" * 1_000, partition=2) for _ in range(1_500)])
    assert sum(run.records for run in placed) == 1_500
    ends = [run.base + run.records for run in placed]
    assert [run.base for run in placed] == [0, *ends[:-1]], "several batches, without gap"
    assert len(placed) > 1


async def test_a_dead_letter_too_large_for_the_broker_goes_without_its_value(own_broker: EmbeddedBroker, publisher: Publisher) -> None:
    raw = RawRecord(Position("messages", 1, 7), b"k", b"x" * 3_500_000, 0)
    letter = dead_letter(raw, error_class="Malformed", error_text="no", at=NOW)
    own_broker.faults.fail_produce(ErrorCode.MESSAGE_TOO_LARGE, times=1)
    with pytest.raises(MessageSizeTooLargeError):
        await Delivery(publisher, Names()).persist([Outgoing("dead-letters", b"k", b"v")], stale=lambda: False)
    own_broker.faults.fail_produce(ErrorCode.MESSAGE_TOO_LARGE, times=1)
    assert await Delivery(publisher, Names()).publish(Outcome(dead_letters=[letter]), stale=lambda: False)
    ((key, value, _),) = await asyncio.to_thread(_published, own_broker, "dead-letters")
    found = DeadLetter.model_validate_json(value)
    assert (key, found.value, found.offset) == (b"k", None, 7)
    assert "3500000 bytes left out, SHA-256" in found.error_text
