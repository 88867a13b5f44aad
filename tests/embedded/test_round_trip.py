"""Records go in through one client library and come out of another as they were."""

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer

from stream.embedded import EmbeddedBroker

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

RECORDS: list[Record] = [
    (None if i % 3 == 0 and i % 11 else f"key-{i}".encode(), b"x" * (i * 7 % 900) if i % 11 else None, [("n", str(i).encode())]) for i in range(500)
]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce_confluent(address: str, topic: str, codec: str) -> None:
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
    for key, value, headers in RECORDS:
        producer.produce(topic, value, key, partition=0, headers=headers)
    assert producer.flush(20) == 0


def produce_kafka_python(address: str, topic: str, codec: str) -> None:
    producer = KafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec, linger_ms=20)
    sent = [producer.send(topic, value, key, partition=0, headers=headers) for key, value, headers in RECORDS]
    producer.flush(20)
    assert [each.get().offset for each in sent] == list(range(len(RECORDS)))
    producer.close()


def produce_aiokafka(address: str, topic: str, codec: str) -> None:
    async def main() -> None:
        kind = None if codec == "none" else codec
        async with AIOKafkaProducer(bootstrap_servers=address, compression_type=kind, enable_idempotence=True, linger_ms=20) as producer:
            sent = [await producer.send(topic, value, key, partition=0, headers=headers) for key, value, headers in RECORDS]
            assert [each.offset for each in await asyncio.gather(*sent)] == list(range(len(RECORDS)))

    asyncio.run(main())


def consume_confluent(address: str, topic: str) -> list[Record]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "confluent", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    got: list[Record] = []
    deadline = time.monotonic() + 20
    while len(got) < len(RECORDS) and time.monotonic() < deadline:
        for message in consumer.consume(500, 0.5):
            assert message.error() is None
            got.append((message.key(), message.value(), message.headers() or []))
    consumer.close()
    return got


def consume_kafka_python(address: str, topic: str) -> list[Record]:
    consumer = KafkaConsumer(topic, bootstrap_servers=address, group_id="kafka-python", auto_offset_reset="earliest")
    got: list[Record] = []
    deadline = time.monotonic() + 20
    while len(got) < len(RECORDS) and time.monotonic() < deadline:
        for messages in consumer.poll(500).values():
            got += [(each.key, each.value, list(each.headers)) for each in messages]
    consumer.close()
    return got


def consume_aiokafka(address: str, topic: str) -> list[Record]:
    async def main() -> list[Record]:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=address, group_id="aiokafka", auto_offset_reset="earliest")
        await consumer.start()
        got: list[Record] = []
        deadline = time.monotonic() + 20
        while len(got) < len(RECORDS) and time.monotonic() < deadline:
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                got += [(each.key, each.value, list(each.headers)) for each in messages]
        await consumer.stop()
        return got

    return asyncio.run(main())


PRODUCERS = [produce_confluent, produce_kafka_python, produce_aiokafka]
CONSUMERS = [consume_confluent, consume_kafka_python, consume_aiokafka]


@pytest.mark.parametrize("consume", CONSUMERS)
def test_each_client_reads_what_every_client_wrote_in_every_compression(
    broker: EmbeddedBroker, consume: Callable[[str, str], list[Record]]
) -> None:
    for index, codec in enumerate(CODECS):
        write = PRODUCERS[index % len(PRODUCERS)]
        write(broker.address, f"t-{codec}", codec)
        assert consume(broker.address, f"t-{codec}") == RECORDS, (write.__name__, codec)


@pytest.mark.parametrize("produce", PRODUCERS)
def test_each_client_writes_what_every_client_reads(broker: EmbeddedBroker, produce: Callable[[str, str, str], None]) -> None:
    produce(broker.address, "t", "lz4")
    for consume in CONSUMERS:
        assert consume(broker.address, "t") == RECORDS, consume.__name__
