"""Saying verdicts from Python, blocking or with asyncio: each call returns when the broker has what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from kafka import KafkaProducer
from kafka.errors import KafkaError as BlockingKafkaError

from schemas.flag import Flag
from schemas.verdict import Verdict, VerdictOutcome
from stream import settings
from stream.clients import kafka_python_options
from stream.errors import BrokerError, NoBrokerError, UsageError
from stream.names import Names
from stream.publisher import Publisher, new_producer
from stream.verdicts.say import Subject, verdict_record, verdicts_on

TIMEOUT_S = 15.0


class Reviewer:
    """Says verdicts in the name of `source` (a team, a tool, an appeal desk). Nothing is connected before the first is said.

    `with` and `say` block, `async with` and `asay` do not; one reviewer is for one of the two. Broker, prefix and how to log in come
    from the settings where they are not given. Raises `UsageError` for what cannot be said, `BrokerError` when the broker does not
    acknowledge within `timeout_s`; then it may or may not have it, and saying it again with the same `at` is the same verdict."""

    def __init__(self, source: str, *, broker: str | None = None, prefix: str | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._source = source
        self._settings = settings.load({"broker": broker, "prefix": prefix})
        self._settings.need_broker()
        self._topic = Names(self._settings.prefix).wire("verdicts")
        self._timeout_s = timeout_s
        self._blocking: KafkaProducer | None = None
        self._async: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def say(
        self, flag: Flag | Subject, outcome: VerdictOutcome, *, label: str | Collection[str] = (), at: datetime | None = None,
        supersedes: str | None = None,
    ) -> tuple[Verdict, ...]:  # fmt: skip
        """Say `outcome` of `flag`: of `label` (one or several) if given, else as `verdicts_on` has it. The verdicts published."""
        found = self._verdicts(flag, outcome, label, at, supersedes)
        self.publish(found)
        return found

    async def asay(
        self, flag: Flag | Subject, outcome: VerdictOutcome, *, label: str | Collection[str] = (), at: datetime | None = None,
        supersedes: str | None = None,
    ) -> tuple[Verdict, ...]:  # fmt: skip
        """`say` for asyncio."""
        found = self._verdicts(flag, outcome, label, at, supersedes)
        await self.apublish(found)
        return found

    def _verdicts(
        self, flag: Flag | Subject, outcome: VerdictOutcome, label: str | Collection[str], at: datetime | None, supersedes: str | None
    ) -> tuple[Verdict, ...]:
        subject = Subject.of(flag) if isinstance(flag, Flag) else flag
        labels = (label,) if isinstance(label, str) else label
        return verdicts_on(subject, outcome, source=self._source, labels=labels, at=at, supersedes=supersedes)

    def publish(self, verdicts: Sequence[Verdict]) -> None:
        """Publish `verdicts` as they are."""
        if self._async is not None:
            raise UsageError("this reviewer is used with asyncio; make another one to block")
        try:
            if self._blocking is None:
                self._blocking = self._connected()
            records = [verdict_record(verdict, self._topic) for verdict in verdicts]
            sent = [self._blocking.send(one.topic, one.value, key=one.key, headers=list(one.headers)) for one in records]
            for future in sent:
                future.get(timeout=self._timeout_s)
        except (BlockingKafkaError, OSError) as error:
            raise self._failed(error) from error

    def _connected(self) -> KafkaProducer:
        try:
            return KafkaProducer(
                **kafka_python_options(self._settings), acks="all", bootstrap_timeout_ms=int(self._timeout_s * 1000),
                max_block_ms=int(self._timeout_s * 1000), delivery_timeout_ms=int(self._timeout_s * 1000),
                request_timeout_ms=int(self._timeout_s * 900), linger_ms=0, allow_auto_create_topics=False,
            )  # fmt: skip
        except (BlockingKafkaError, OSError) as error:
            raise NoBrokerError(self._settings.broker) from error

    async def apublish(self, verdicts: Sequence[Verdict]) -> None:
        """`publish` for asyncio."""
        if self._blocking is not None:
            raise UsageError("this reviewer is used to block; make another one for asyncio")
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self._starting:
                    if self._async is None:
                        producer = new_producer(self._settings)
                        try:
                            await producer.start()
                        except BaseException as error:
                            await producer.stop()
                            if isinstance(error, KafkaError | OSError):
                                raise NoBrokerError(self._settings.broker) from error
                            raise
                        self._async = producer
                await Publisher(self._async).send(verdict_record(verdict, self._topic) for verdict in verdicts)
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> BrokerError:
        return BrokerError(f"the broker at {self._settings.broker} did not acknowledge the verdict: {type(error).__name__}")

    def close(self) -> None:
        """Close the connection of `say`."""
        if self._blocking is not None:
            self._blocking.close(timeout=self._timeout_s)
            self._blocking = None

    async def aclose(self) -> None:
        """Close the connection of `asay`."""
        if self._async is not None:
            await self._async.stop()
            self._async = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self.aclose()
