from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.message import Message
from schemas.transaction import Transaction
from stream.errors import UsageError
from stream.replay.compare import Example
from stream.replay.examples import masked, show, showing, told


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("call 0171 234-5678 now", "call # now"),
        ("see https://evil.example/x?a=1 or www.evil.example", "see [link] or [link]"),
        ("write to ann.lee@mail.example", "write to [address]"),
        ("@ann you fool", "[name] you fool"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_would_tell_who_it_is_is_masked(text: str, left: str) -> None:
    assert masked(text) == left


def test_masked_events_name_nobody_and_full_ones_do(kit: Any) -> None:
    message = Message.model_validate(kit.message(1, "ring 555 1234"))
    payment = Transaction.model_validate(kit.transaction(1, 12_345, card=4711, terminal_id="T9", country="DE"))
    for event, secrets in ((message, ["u1", "555"]), (payment, ["c4711", "a4711", "T9"])):
        said = told(event, "masked")
        assert not [secret for secret in secrets if secret in said]
    assert told(message, "full") == "u1: ring 555 1234"
    assert told(payment, "full") == "c4711 · 123.45 EUR · T9 · DE"
    assert "123.45 EUR" in told(payment, "masked")


def test_nothing_is_read_unless_it_was_asked_for_and_what_is_gone_is_left_out(kit: Any, tmp_path: Path) -> None:
    records = {0: [kit.record(kit.message(number, f"text {number}"), offset=number) for number in range(3)]}
    examples = [Example(part=part, offset=offset, at_ms=0, event=0, before="allow", after="review", scores={}) for part, offset in ((0, 1), (0, 7), (5, 0))]
    source = kit.ListSource(records)
    assert show(source, "message", examples, "places") == {}
    assert show(source, "message", examples, "full") == {(0, 1): "u1: text 1"}
    with pytest.raises(UsageError, match="places, masked, full"):
        showing("everything")
