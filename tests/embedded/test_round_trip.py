"""Records go in through one client library and come out of another as they were."""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer
from kafka import KafkaConsumer, KafkaProducer

from stream.embedded import EmbeddedBroker

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]

RECORDS: list[Record] = [
    (None if i % 3 == 0 and i % 11 else f"key-{i}".encode(), b"x" * (i * 7 % 900) if i % 11 else None, [("n", str(i).encode())])
    for i in range(500)
]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce_confluent(address: str, topic: str, codec: str) -> None:
    producer = Producer({"bootstrap.servers": address, "compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
    for key, value, headers in RECORDS:
        producer.produce(topic, value, key, partition=0, headers=list(headers))
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


def consume_confluent(address: str, topics: list[str]) -> dict[str, list[Record]]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "confluent", "auto.offset.reset": "earliest"})
    consumer.subscribe(topics)
    got: dict[str, list[Record]] = {topic: [] for topic in topics}
    deadline = time.monotonic() + 20
    while short_of(got) and time.monotonic() < deadline:
        messages: list[Any] = consumer.consume(500, 0.5)
        for message in messages:
            assert message.error() is None
            got[message.topic()].append((message.key(), message.value(), message.headers()))
    consumer.close()
    return got


def consume_kafka_python(address: str, topics: list[str]) -> dict[str, list[Record]]:
    consumer = KafkaConsumer(*topics, bootstrap_servers=address, group_id="kafka-python", auto_offset_reset="earliest")
    got: dict[str, list[Record]] = {topic: [] for topic in topics}
    deadline = time.monotonic() + 20
    while short_of(got) and time.monotonic() < deadline:
        for partition, messages in consumer.poll(500).items():
            got[partition.topic] += [(each.key, each.value, list(each.headers)) for each in messages]
    consumer.close()
    return got


def consume_aiokafka(address: str, topics: list[str]) -> dict[str, list[Record]]:
    async def main() -> dict[str, list[Record]]:
        consumer = AIOKafkaConsumer(*topics, bootstrap_servers=address, group_id="aiokafka", auto_offset_reset="earliest")
        await consumer.start()
        got: dict[str, list[Record]] = {topic: [] for topic in topics}
        deadline = time.monotonic() + 20
        while short_of(got) and time.monotonic() < deadline:
            for partition, messages in (await consumer.getmany(timeout_ms=500)).items():
                got[partition.topic] += [(each.key, each.value, list(each.headers)) for each in messages]
        await consumer.stop()
        return got

    return asyncio.run(main())


def short_of(got: dict[str, list[Record]]) -> bool:
    return any(len(records) < len(RECORDS) for records in got.values())


PRODUCERS = [produce_confluent, produce_kafka_python, produce_aiokafka]
CONSUMERS = [consume_confluent, consume_kafka_python, consume_aiokafka]


def test_every_client_reads_what_every_client_wrote_in_every_compression(broker: EmbeddedBroker) -> None:
    topics = []
    for index, codec in enumerate(CODECS):
        for produce in (PRODUCERS[index % 3], PRODUCERS[(index + 1) % 3]):
            topics.append(f"{produce.__name__}-{codec}")
            produce(broker.address, topics[-1], codec)
    for consume in CONSUMERS:
        got = consume(broker.address, topics)
        for topic in topics:
            assert got[topic] == RECORDS, (consume.__name__, topic)
