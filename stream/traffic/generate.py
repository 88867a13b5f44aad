"""All traffic of the demo as one sequence, from a seed: pure, without a clock and without end. Who sends it paces it.

People chat at the pace of the demo, but cards live in days, and so do the windows by which their frauds are known.
So payments have an event time of their own, in which a card makes its natural one or two payments a day: at 100
payments a second, 500 cards live a day in ten seconds. It runs `lead_days` behind the chat's at first, and so stays
in the past for that long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from schemas.codec import encode
from schemas.message import Message
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream.traffic.event import Event, Truth
from stream.traffic.malformed import malform
from stream.traffic.messages import Chat
from stream.traffic.transactions import transactions

MALFORMED_SHARE = 0.002

Body = Message | Transaction | Verdict


def traffic(
    seed: int, *, rate: float, start: datetime,
    message_share: float = 0.5, malformed_share: float = MALFORMED_SHARE, users: int = 2000, cards: int = 500,
    warmup_days: int = 14, lead_days: float = 60.0, verdicts: bool = False,
) -> Iterator[Event]:
    """First the warm-up: `warmup_days` of payments, which give each card and terminal a past. Then `rate` events a
    second: `message_share` of them messages of event time `start` on, the rest payments of event time
    `start - lead_days` on, and for `malformed_share` of them an unreadable one besides. With `verdicts` the
    chargebacks of the frauds come between the payments.

    Raises `ValueError` for a rate that is not positive, a share outside 0 to 1, or a `start` without an offset."""
    if not rate > 0:
        raise ValueError("rate must be positive")
    if not (0 <= message_share <= 1 and 0 <= malformed_share <= 1):
        raise ValueError("a share lies between 0 and 1")
    if start.tzinfo is None:
        raise ValueError("start needs an offset from UTC")
    rng = Random(f"{seed}:traffic")
    chat = Chat(seed, users=users)
    live_from = start - timedelta(days=lead_days)
    payments = transactions(seed, start=live_from - timedelta(days=warmup_days), cards=cards, verdicts=verdicts)

    def events() -> Iterator[Event]:
        body, truth = next(payments)
        while body.occurred_at < live_from:
            yield _event(body, truth, due_s=0.0, warmup=True)
            body, truth = next(payments)
        sent = 0
        while True:
            due_s = sent / rate
            if rng.random() < message_share:
                event = _event(*chat.write(start + timedelta(seconds=due_s)), due_s=due_s)
            else:
                event = _event(body, truth, due_s=due_s)
                body, truth = next(payments)
            yield event
            sent += 1
            if event.topic != "verdicts" and rng.random() < malformed_share:
                yield _broken(event, rng, due_s=sent / rate)
                sent += 1

    return events()


def _event(body: Body, truth: Truth, *, due_s: float, warmup: bool = False) -> Event:
    match body:
        case Message():
            topic, key = "messages", body.user_id
        case Transaction():
            topic, key = "transactions", body.entity
        case Verdict():
            topic, key = "verdicts", body.event_id
    return Event(
        topic=topic, key=key.encode(), value=encode(body), occurred_at=body.occurred_at,
        due_s=due_s, warmup=warmup, truth=truth,
    )


def _broken(event: Event, rng: Random, *, due_s: float) -> Event:
    """A record like `event` that cannot be read."""
    value, fault = malform(event.topic, event.value, rng)
    return replace(event, value=value, due_s=due_s, truth=Truth(kind="malformed", detail=fault))
