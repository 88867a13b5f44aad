"""The events of the benchmarks."""

from __future__ import annotations

import json
from itertools import islice

from schemas.message import Message
from schemas.transaction import Transaction
from stream.bench.corpus import DISTINCT, message_events, transaction_events


def test_messages_are_valid_and_each_has_an_id_of_its_own() -> None:
    events = list(islice(message_events(DISTINCT + 50), DISTINCT - 50, None))
    ids = {Message.model_validate_json(value).id for _, value in events}
    assert len(ids) == len(events) == 100
    assert all(json.loads(value)["user_id"].encode() == key for key, value in events)


def test_transactions_are_valid_and_in_order_of_time() -> None:
    bodies = [Transaction.model_validate_json(value) for _, value in transaction_events(200)]
    assert len({body.id for body in bodies}) == 200
    assert [body.occurred_at for body in bodies] == sorted(body.occurred_at for body in bodies)
