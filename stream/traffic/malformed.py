"""Records that no contract accepts, as broken producers write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

Fields = dict[str, Any]


def _without(*names: str) -> Callable[[Fields], Fields]:
    return lambda fields: {name: value for name, value in fields.items() if name not in names}


def _with(**changed: object) -> Callable[[Fields], Fields]:
    return lambda fields: fields | changed


_ANY: dict[str, Callable[[Fields], Fields]] = {
    "no_id": _without("id"),
    "no_time": _without("occurred_at"),
    "not_a_time": _with(occurred_at="yesterday evening"),
    "year_9999": _with(occurred_at="9999-12-31T23:59:59+00:00"),
    "unknown_version": _with(version=2),
}
_OF_TOPIC: Mapping[str, Mapping[str, Callable[[Fields], Fields]]] = {
    "messages": _ANY | {
        "no_text": _without("text"), "text_is_a_list": _with(text=["hello", "there"]), "empty_user": _with(user_id=""),
    },
    "transactions": _ANY | {
        "negative_amount": _with(amount_minor=-1250), "amount_with_cents": _with(amount_minor=12.5),
        "no_amount": _without("amount_minor"), "currency_symbol": _with(currency="€"),
    },
}
_RAW: Mapping[str, Callable[[bytes], bytes]] = {
    "cut_off": lambda value: value[: len(value) * 2 // 3],
    "not_utf8": lambda value: b"\xff\xfe" + value,
    "empty": lambda _: b"",
    "not_an_object": lambda value: b"[" + value + b"]",
    "not_json": lambda _: b"id=17;status=ok;retry=false",
}

FAULTS: Mapping[str, tuple[str, ...]] = {topic: (*_RAW, *faults) for topic, faults in _OF_TOPIC.items()}
"""The faults that records of a topic can have."""


def spoil(topic: str, value: bytes, fault: str) -> bytes:
    """`value`, a JSON object for `topic`, with `fault`."""
    if fault in _RAW:
        return _RAW[fault](value)
    return json.dumps(_OF_TOPIC[topic][fault](json.loads(value)), ensure_ascii=False).encode()


def malform(topic: str, value: bytes, rng: Random) -> tuple[bytes, str]:
    """`value` with one of the faults of `topic`, and which."""
    fault = rng.choice(FAULTS[topic])
    return spoil(topic, value, fault), fault
