"""Bytes to contracts and back. Decoding is total: whatever comes in, a value comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from schemas.base import Contract

C = TypeVar("C", bound=Contract)


class Position(NamedTuple):
    """Where a record lies in a log."""

    topic: str
    partition: int
    offset: int


RawHeaders = tuple[tuple[str, bytes | None], ...]
"""Kafka headers in their order; names may repeat."""


class RawRecord(NamedTuple):
    """A record as the broker gave it; `timestamp_ms` is its append or create time in epoch milliseconds. `headers` are there
    where the driver reads them, which the worker does: a dead letter keeps them."""

    at: Position
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: RawHeaders = ()

    @property
    def offset(self) -> int:
        """Its place in its partition."""
        return self.at.offset

    def __repr__(self) -> str:
        """The position alone, so that no log line or traceback can carry a text or an account."""
        return f"RawRecord({self.at.topic}/{self.at.partition}@{self.at.offset})"


@dataclass(frozen=True, slots=True)
class Record(Generic[C]):
    """A raw record that was read."""

    raw: RawRecord
    body: C


@dataclass(frozen=True, slots=True)
class Malformed:
    """A raw record that could not be read; `reason` is one line that never quotes the record."""

    raw: RawRecord
    reason: str


def decode(contract: type[C], raw: RawRecord) -> Record[C] | Malformed:
    """`raw` read as `contract`; never raises."""
    if raw.value is None:
        return Malformed(raw, "no value (a tombstone)")
    try:
        return Record(raw, contract.model_validate_json(raw.value))
    except ValidationError as error:
        return Malformed(raw, describe(error))
    except RecursionError:
        return Malformed(raw, "nested too deeply")


def decoder(contract: type[C]) -> Callable[[RawRecord], Record[C] | Malformed]:
    """`decode` for one contract."""
    return lambda raw: decode(contract, raw)


def describe(error: ValidationError) -> str:
    """The first fault and the number of further ones, without the offending input."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    first = faults[0]
    # A key inside the payload is the sender's text as well; only names of our own fields are repeated.
    place = ".".join(str(part) for part in first["loc"][:3])
    text = first["msg"] if len(place) <= 64 else "invalid"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{place}: {text}{more}" if place and len(place) <= 64 else f"{text}{more}"


def encode(body: Contract) -> bytes:
    """`body` as JSON in UTF-8; fields that are None are left out."""
    return body.__pydantic_serializer__.to_json(body, exclude_none=True)
