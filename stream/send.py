"""`flagstream send`: a file into a topic, at its own pace (open loop), every record acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError
from pydantic import ValidationError
from pydantic_core import to_json

from schemas.base import Contract
from schemas.codec import describe, encode
from schemas.topics import BY_NAME
from schemas.transaction import Transaction
from stream.delivery import cloud_event
from stream.errors import BrokerError, UsageError
from stream.mapping import Completion, FieldMap, MappingError
from stream.names import Names
from stream.publisher import Publisher, producing
from stream.record_batch import Outgoing
from stream.rows import Row, read
from stream.settings import Settings

BATCH = 500
TICK_S = 0.02
"""The finest step of a limited rate: what is due within it goes out together."""
TOPIC_TIMEOUT_S = 5.0
FIRST_FAULTS = 5
KEYS = {"messages": "user_id", "verdicts": "event_id", "flags": "entity"}
EVENT_TYPES = {name: f"flagstream.{topic.payload.__name__.lower()}.v1" for name, topic in BY_NAME.items()}


@dataclass(slots=True)
class Sent:
    """`sent` records are acknowledged, of them `raw` as they were although they fit no contract; `rejected` rows were not sent, for
    the reasons of `faults` (the first few)."""

    sent: int = 0
    raw: int = 0
    rejected: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 if any row was not sent."""
        return 1 if self.rejected else 0


async def send(
    settings: Settings,
    topic: str,
    file: Path,
    *,
    rate: float | None = None,
    key: str | None = None,
    maps: Sequence[str] = (),
    constants: Sequence[str] = (),
    raw: bool = False,
    limit: int | None = None,
    on_progress: Callable[[Sent], None] = lambda _: None,
) -> Sent:
    """Send the rows of `file` (JSON Lines, CSV or Parquet; `-`: lines from standard input) to `topic` of the table, and return when
    the broker has acknowledged all.

    `rate` is in records a second, None for as fast as it goes; the schedule does not wait for answers. `key` is the field that keys
    the records, else what the table of topics says. `maps` are `field=column` (or a template of columns), `constants` are
    `field=value`. A row that does not fit the contract is counted and left out or, with `raw`, sent as it is. `limit` ends after
    so many rows. Raises `UsageError`, and `BrokerError` when the broker does not take a record."""
    if topic not in BY_NAME:
        raise UsageError(f"unknown topic {topic!r}; known: {', '.join(BY_NAME)}")
    if rate is not None and rate <= 0:
        raise UsageError("--rate must be above 0")
    complete = Completion(topic, FieldMap.parse(maps, constants), file=file.name, now=datetime.now(UTC))
    reader = Reader(topic, Names(settings.prefix).wire(topic), complete, key=key, raw=raw)
    rows = islice(read(file), limit)
    async with producing(settings) as producer:
        try:
            await asyncio.wait_for(producer.partitions_for(reader.wire), TOPIC_TIMEOUT_S)
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(f"topic {reader.wire} is not there: create it with `flagstream topics create`") from error
        return await _run(Publisher(producer), rows, reader, rate, on_progress)


async def _run(
    publisher: Publisher, rows: Iterator[Row], reader: Reader, rate: float | None, on_progress: Callable[[Sent], None]
) -> Sent:
    done = Sent()
    started_s = time.monotonic()
    taken = 0
    while True:
        wanted = BATCH if rate is None else min(BATCH, int((time.monotonic() - started_s) * rate) + 1 - taken)
        if wanted <= 0:
            await asyncio.sleep(max(TICK_S, taken / (rate or 1.0) - (time.monotonic() - started_s)))
            continue
        batch = list(islice(rows, wanted))
        if not batch:
            break
        taken += len(batch)
        records = reader.records(batch, done)
        try:
            await publisher.send(records)
        except KafkaError as error:
            raise BrokerError(f"the broker did not take a record after {done.sent} were sent: {type(error).__name__}: {error}") from error
        done.sent += len(records)
        done.seconds = round(time.monotonic() - started_s, 3)
        on_progress(done)
    done.seconds = round(time.monotonic() - started_s, 3)
    return done


class Reader:
    """Rows to records of one topic; `wire` is its name on the broker."""

    def __init__(self, topic: str, wire: str, complete: Completion, *, key: str | None, raw: bool) -> None:
        self.wire = wire
        self._topic = topic
        self._contract = BY_NAME[topic].payload
        self._complete = complete
        self._key = key
        self._raw = raw

    def records(self, rows: Sequence[Row], tally: Sent) -> list[Outgoing]:
        """What is to be sent of `rows`; the others, and those sent as they are, are counted in `tally`."""
        found = []
        for row in rows:
            record = self._record(row)
            if isinstance(record, Outgoing):
                found.append(record)
            elif self._raw:
                tally.raw += 1
                found.append(self._as_it_is(row))
            else:
                tally.rejected += 1
                if len(tally.faults) < FIRST_FAULTS:
                    tally.faults.append(f"row {row.number}: {record}")
        return found

    def _record(self, row: Row) -> Outgoing | str:
        if row.fields is None:
            return row.fault
        try:
            body = self._contract.model_validate(self._complete(row))
        except ValidationError as error:
            return describe(error)
        except MappingError as error:
            return str(error)
        key = self._key_of(body)
        if key is None and self._key is not None:
            return f"no field {self._key} to key it by"
        moment = getattr(body, "occurred_at", None) or datetime.now(UTC)
        headers = cloud_event(event_id=str(getattr(body, "id", "")), event_type=EVENT_TYPES[self._topic], at=moment)
        return Outgoing(self.wire, key, encode(body), headers)

    def _key_of(self, body: Contract) -> bytes | None:
        if self._key is None and isinstance(body, Transaction):
            return body.entity.encode()
        return _bytes(getattr(body, self._key or KEYS.get(self._topic, "key"), None))

    def _as_it_is(self, row: Row) -> Outgoing:
        fields = row.fields or {}
        key = fields.get(self._key or KEYS.get(self._topic, "account_id"))
        value = row.raw if row.raw is not None else to_json(fields, fallback=str, inf_nan_mode="strings")
        return Outgoing(self.wire, _bytes(key), value)


def _bytes(key: Any) -> bytes | None:  # noqa: ANN401 (any field's value)
    if key is None:
        return None
    return key if isinstance(key, bytes) else str(key).encode("utf-8", "surrogatepass")
