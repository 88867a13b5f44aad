"""Faust's client thread, which unpacks the records of some topics straight into `RawRecord`, and whose fetches wait for little.

aiokafka builds a frozen dataclass of eleven fields for each record, by eleven calls, and the lane built two tuples from it: 1.7 µs a
record, of which 1.0 are saved here. What it decides on the way (checksums, control batches, aborted transactions, offsets before the position) stays aiokafka's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from functools import partial
from typing import Any

from faust.transport.drivers import aiokafka as driver

from schemas.codec import Position, RawRecord

FETCH_WAIT_MS = 50
"""How long a broker may hold a fetch that finds nothing. Faust says 1,500. A fetch asks for the partitions of which nothing is at hand, and a broker has one
fetch at a time, so one for partitions that are read to their end would hold up all that others still have."""

# The tuples' own constructors check the number of fields in Python.
_position = partial(tuple.__new__, Position)
_raw = partial(tuple.__new__, RawRecord)


def raw_record(tp: Any, record: Any) -> RawRecord:  # noqa: ANN401 (aiokafka's)
    """What a record of `tp` is, made from aiokafka's C record."""
    return _raw(
        (_position((tp.topic, tp.partition, record.offset)), record.key, record.value, record.timestamp, tuple(record.headers))
    )


class FetchThread(driver.AIOKafkaConsumerThread):
    """The client thread of a consumer with lanes; `topics` are those that are unpacked into `RawRecord`, asked when a fetch comes."""

    def __init__(self, consumer: Any, *topics: Container[str], **kwargs: Any) -> None:  # noqa: ANN401 (Faust's signature is passed through)
        super().__init__(consumer, **kwargs)
        self._topics = topics

    def _create_worker_consumer(self, transport: Any) -> Any:  # noqa: ANN401 (Faust's)
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(self, consumer: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Faust's signature is passed through)
        fetcher = consumer._fetcher
        if not isinstance(fetcher._records, _Fetched):
            fetcher._records = _Fetched(self._topics, fetcher._records)
        return await super()._fetch_records(consumer, *args, **kwargs)


class _Fetched(OrderedDict[Any, Any]):
    """What a fetcher has received and nobody has taken yet, by partition. Records are made when they are taken."""

    def __init__(self, topics: tuple[Container[str], ...], before: OrderedDict[Any, Any]) -> None:
        super().__init__()
        self._topics = topics
        for tp, result in before.items():
            self[tp] = result

    def __setitem__(self, tp: Any, result: Any) -> None:  # noqa: ANN401 (a FetchResult or a FetchError)
        if any(tp.topic in some for some in self._topics) and hasattr(result, "_partition_records"):
            result._partition_records._consumer_record = raw_record
        super().__setitem__(tp, result)
