"""A group member whose client rebalances only while it is polled: a thread polls it, as a service would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from tests.conformance.client import TIMEOUT_S, Record

POLL_S = 0.05
HEARTBEAT_MS = 500
"""How soon a member hears of a rebalance."""


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """What the thread needs of a client's consumer; none of it is called from elsewhere."""

    poll: Callable[[], list[Record]]
    assignment: Callable[[], set[int]]
    commit: Callable[[], None]
    close: Callable[[], None]


class PollingMember:
    """A member behind `Member`'s shape. What its thread has polled counts as given out, so `commit` covers it."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._found: SimpleQueue[Record] = SimpleQueue()
        self._orders: SimpleQueue[tuple[Callable[[], None], Future[None]]] = SimpleQueue()
        self._partitions: set[int] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="member", daemon=True)
        self._thread.start()

    def assigned(self) -> set[int]:
        return set(self._partitions)

    def poll(self, count: int) -> list[Record]:
        return taken(self._found, count)

    def commit(self) -> None:
        self._order(self._consumer.commit)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._order(self._consumer.close)
            self._thread.join(TIMEOUT_S)

    def _order(self, what: Callable[[], None]) -> None:
        done: Future[None] = Future()
        self._orders.put((what, done))
        done.result(TIMEOUT_S)

    def _work(self) -> None:
        while True:
            try:
                what, done = self._orders.get_nowait()
            except Empty:
                for record in self._consumer.poll():
                    self._found.put(record)
                self._partitions = self._consumer.assignment()
                continue
            try:
                done.set_result(what())
            except Exception as error:  # noqa: BLE001  # it belongs to whoever gave the order
                done.set_exception(error)
            if what == self._consumer.close:
                return


def taken(found: SimpleQueue[Record], count: int) -> list[Record]:
    """The next `count` records of a queue, or fewer after `TIMEOUT_S`."""
    deadline_s = time.monotonic() + TIMEOUT_S
    records: list[Record] = []
    while len(records) < count and (left_s := deadline_s - time.monotonic()) > 0:
        try:
            records.append(found.get(timeout=left_s))
        except Empty:
            break
    return records
