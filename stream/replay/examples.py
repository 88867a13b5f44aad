"""The examples of a comparison with what they say, for those who asked to see it: masked, or as it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from schemas.base import Contract
from schemas.codec import RawRecord, Record, decode
from schemas.labels import Kind
from schemas.message import Message
from schemas.transaction import Transaction
from stream.errors import UsageError
from stream.mapping import MINOR_DIGITS
from stream.replay.compare import Example
from stream.replay.part import CONTRACT
from stream.replay.request import Showing
from stream.replay.source import Part, Source

SHOWINGS: tuple[Showing, ...] = ("places", "masked", "full")
MAX_CHARS = 400
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_ADDRESS = re.compile(r"\S+@\S+\.\S+")
_NAME = re.compile(r"(?<!\w)@\w+")
_DIGITS = re.compile(r"\d(?:[\d .,/-]*\d)?")


def showing(text: str) -> Showing:
    """The word of the command line. Raises `UsageError`."""
    for known in SHOWINGS:
        if text == known:
            return known
    raise UsageError(f"--examples {text!r}: one of {', '.join(SHOWINGS)}")


def show(source: Source, kind: Kind, examples: Iterable[Example], how: Showing) -> dict[tuple[int, int], str]:
    """What the events of `examples` say, by part and offset; what is no longer there is left out. Raises `StreamError`."""
    if how == "places":
        return {}
    parts = {part.number: part for part in source.parts}
    contract: type[Contract] = CONTRACT[kind]
    found: dict[tuple[int, int], str] = {}
    for example in examples:
        raw = _record(source, parts, example)
        read = None if raw is None else decode(contract, raw)
        if isinstance(read, Record) and isinstance(read.body, Message | Transaction):
            found[example.part, example.offset] = told(read.body, how)
    return found


def told(event: Message | Transaction, how: Showing) -> str:
    """An event in a line: the text of a message, or who paid how much, where; with "masked" digests in place of whoever it is."""
    who = event.user_id if isinstance(event, Message) else event.entity
    if how == "masked":
        who = hashlib.sha256(f"{event.tenant or ''}\x1f{who}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    if isinstance(event, Message):
        text = masked(event.text) if how == "masked" else event.text
        return f"{who}: {text[:MAX_CHARS]}{'…' if len(text) > MAX_CHARS else ''}"
    digits = MINOR_DIGITS.get(event.currency.upper(), 2)
    amount = f"{event.amount_minor / 10**digits:,.{digits}f} {event.currency}"
    where = (event.channel, event.country) if how == "masked" else (event.merchant_id, event.terminal_id, event.channel, event.country)
    return " · ".join((who, amount, *(word for word in where if word)))


def masked(text: str) -> str:
    """`text` without links, addresses, names after an @ and numbers."""
    for pattern, word in ((_LINK, "[link]"), (_ADDRESS, "[address]"), (_NAME, "[name]"), (_DIGITS, "#")):
        text = pattern.sub(word, text)
    return text


def _record(source: Source, parts: dict[int, Part], example: Example) -> RawRecord | None:
    part = parts.get(example.part)
    if part is None:
        return None
    batch: list[RawRecord] = next(iter(source.batches(part, size=1, begin=example.offset)), [])
    return batch[0] if batch and batch[0].at.offset == example.offset else None
