"""A flag to another topic of the same cluster."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.errors import KafkaError as BlockingKafkaError

from schemas.flag import Flag
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.delivery import flag_records, untimed
from stream.errors import BrokerError
from stream.publisher import Publisher
from stream.settings import Settings
from stream.subscribe.blocking import connect


class KafkaTopic:
    """Publishes to `topic`, keyed by entity, with the CloudEvents headers of a flag; `producer` is started by others."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, topic: str, *, timeout_s: float) -> None:
        self._settings = settings
        self._publisher = Publisher(producer)
        self._topic = topic
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Raises `BrokerError` when the topic is not there."""
        if not await asyncio.to_thread(self._there):
            raise BrokerError(f"topic {self._topic} is not there: create it, the rules name it")

    def _there(self) -> bool:
        # Not by the producer: whoever asks for a topic like that has it made, where the broker makes topics by itself.
        consumer = connect(self._settings, group_id=None)
        try:
            return bool(consumer.partitions_for_topic(self._topic))
        except BlockingKafkaError as error:
            raise BrokerError(f"the broker at {self._settings.broker} refuses: {type(error).__name__}: {error}") from error
        finally:
            consumer.close(autocommit=False, timeout_ms=1_000)

    async def close(self) -> None:
        """Nothing of its own."""

    async def send(self, flag: Flag) -> Answer:
        """Delivered is what the broker acknowledged."""
        try:
            await asyncio.wait_for(self._publisher.send(flag_records([flag], self._topic, untimed)), self._timeout_s)
        except MessageSizeTooLargeError:
            return Refused(reason="larger than the topic takes")
        except TimeoutError:
            return Again(reason=f"no acknowledgement within {self._timeout_s:g} s")
        except KafkaError as error:
            return Again(reason=type(error).__name__)
        return Delivered()
