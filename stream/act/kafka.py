"""A flag to another topic of the same cluster."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.flag import Flag
from stream.act.answer import Again, Answer, Delivered, Refused
from stream.delivery import flag_records, untimed
from stream.errors import BrokerError
from stream.publisher import Publisher

LOOK_S = 5.0


class KafkaTopic:
    """Publishes to `topic`, keyed by entity, with the CloudEvents headers of a flag; `producer` is started by others."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, *, timeout_s: float) -> None:
        self._producer = producer
        self._publisher = Publisher(producer)
        self._topic = topic
        self._timeout_s = timeout_s

    async def open(self) -> None:
        """Raises `BrokerError` when the topic is not there."""
        try:
            await asyncio.wait_for(self._producer.partitions_for(self._topic), LOOK_S)
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(f"topic {self._topic} is not there: create it, the rules name it") from error

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
