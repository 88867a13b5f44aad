"""`bench fraud`: transactions through the agents of cards and terminals in one process, state included, and what each part costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from agents.protocol import StateKey
from models.entry import Entry
from models.halves import Halves
from models.history import History
from schemas.codec import Position, RawRecord, decode, encode
from schemas.transaction import Transaction
from stream import load
from stream.bench.corpus import transaction_bodies
from stream.bench.sides import TwoSides
from stream.settings import Settings
from stream.settings import load as load_settings

BATCH = 512
CARDS = 500
ROUNDS = 3
WARM_SHARE = 0.5
"""How much of the traffic gives the cards a past before the clock starts."""


def run_fraud(*, transactions: int = 20_000, rounds: int = 3, settings: Settings | None = None) -> dict[str, Any]:
    """Figures of judging `transactions` payments of the demo's cards, median of `rounds`; one thread, state in a dict.

    `*_us` are µs of CPU a transaction, which a busy machine changes less than time, for the parts: reading the payload, the card's past from
    bytes and back, its features, the model; `terminal_us` is all that the agent of terminals does besides the model, `other_us` what
    is left of the whole. Raises `UsageError` when the model cannot be used."""
    resolved = settings or load_settings()
    policy = load.load_policy(resolved)
    bundle, model = load.fraud_model(resolved)
    bodies = transaction_bodies(transactions, cards=CARDS)
    warm = int(transactions * WARM_SHARE)
    raws = [
        RawRecord(Position("transactions", 0, offset), body.entity.encode(), encode(body), int(body.occurred_at.timestamp() * 1000))
        for offset, body in enumerate(bodies)
    ]
    totals_s, totals_cpu_s, terminals_cpu_s, flags = [], [], [], 0
    past: dict[StateKey, bytes] = {}
    for _ in range(rounds):
        both = TwoSides(settings=resolved, policy=policy, bundle=bundle, model=model)
        both.rule(bodies[0])
        for start in range(0, warm, BATCH):
            both.handle(raws[start : min(start + BATCH, warm)])
        past = dict(both.cards)
        both.terminal_cpu_s = 0.0
        flags, began_s, began_cpu_s = 0, time.perf_counter(), time.process_time()
        for start in range(warm, len(raws), BATCH):
            flags += both.handle(raws[start : start + BATCH])
        totals_s.append(time.perf_counter() - began_s)
        totals_cpu_s.append(time.process_time() - began_cpu_s)
        terminals_cpu_s.append(both.terminal_cpu_s)
    measured = len(raws) - warm
    parts = _parts(raws[warm:], bodies[warm:], model, bodies[:warm])
    parts["terminal_us"] = max(0.0, median(terminals_cpu_s) / measured * 1e6 - parts["session_us"])
    total_us = median(totals_cpu_s) / measured * 1e6
    return {
        "tx_per_s": round(measured / median(totals_s), 1),
        **{name: round(cost, 2) for name, cost in parts.items()},
        "other_us": round(total_us - sum(parts.values()), 2),
        "total_us": round(total_us, 2),
        "transactions": measured,
        "flags": flags,
        "history_bytes": round(sum(map(len, past.values())) / max(1, len(past)), 1),
        "features": len(model.features),
        "model": f"{bundle.card.name} {bundle.digest}",
        "cores": 1,
    }


def _parts(raws: list[RawRecord], bodies: list[Transaction], model: Any, before: list[Transaction]) -> dict[str, float]:  # noqa: ANN401 (one of models)
    """µs a transaction of each part, on the cards' pasts as the transactions of `before` left them."""
    pasts: dict[str, History] = {}
    for body in before:
        pasts[body.entity] = pasts.get(body.entity, History()).add(Entry.of(body))
    stored = {card: past.to_bytes() for card, past in pasts.items()}
    none = History().to_bytes()
    entries = [Entry.of(body) for body in bodies]
    cards = [body.entity for body in bodies]
    histories = [pasts.get(card, History()) for card in cards]
    halves = Halves(model.features)
    rows = [model.vector(history, entry, None) for history, entry in zip(histories, entries, strict=True)]

    def read() -> None:
        for raw in raws:
            decode(Transaction, raw)

    def state() -> None:
        for card, entry in zip(cards, entries, strict=True):
            stored[card] = History.from_bytes(stored.get(card, none)).add(entry).to_bytes()

    # Views of a history may be kept with it, so each round gets histories that were just read, as the agent does.
    unseen = iter([[History.from_bytes(past.to_bytes()) for past in histories] for _ in range(ROUNDS)])

    def features() -> None:
        for history, entry in zip(next(unseen), entries, strict=True):
            halves.card(history, entry)

    def session() -> None:
        for start in range(0, len(rows), BATCH):
            model.score(np.array(rows[start : start + BATCH], np.float32))

    works: dict[str, Callable[[], None]] = {"decode_us": read, "state_us": state, "features_us": features, "session_us": session}
    return {name: _median_s(work) / len(raws) * 1e6 for name, work in works.items()}


def _median_s(work: Callable[[], None]) -> float:
    """CPU seconds of the median of `ROUNDS` runs."""
    taken_s = []
    for _ in range(ROUNDS):
        began_s = time.process_time()
        work()
        taken_s.append(time.process_time() - began_s)
    return median(taken_s)
