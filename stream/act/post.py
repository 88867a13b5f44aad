"""One sink at work: its two subscriptions (flags, and those it is to have again), and what carries them to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.codec import Malformed
from schemas.dead_letter import SINK_HEADER
from stream import metrics
from stream.act.courier import Courier
from stream.act.gate import Gate
from stream.act.letters import Letters
from stream.act.rules import AnySink, Route
from stream.act.sink import Sink
from stream.names import Names
from stream.settings import Settings
from stream.subscribe import DEDUPE_WINDOW, Filter, Subscription
from stream.subscribe.filters import Wanted
from stream.subscribe.held import Held
from stream.subscribe.plan import OnPartitions, Plan, log_poison

FLAGS, AGAIN = "flags", "action-retries"


def group_of(settings: Settings, sink: str) -> str:
    """The consumer group of a sink, on the wire. That of its retries ends in `.again`."""
    return Names(settings.prefix).wire(f"{settings.group}.act.{sink}")


class Post:
    """The sink `name`. `ready` once it takes part in its groups."""

    def __init__(self, settings: Settings, name: str, rules: AnySink, *, route: Route, sink: Sink, gate: Gate, letters: Letters) -> None:
        self.name = name
        self._rules = rules
        self._sink = sink
        self._gate = gate
        self._settings = settings
        self._joined: set[str] = set()
        self._flags = Courier(name, sink, rules, gate, letters, remembered=DEDUPE_WINDOW)
        # Whoever sends a dead letter again means it: nothing is dropped as seen.
        self._again = Courier(name, sink, rules, gate, letters, remembered=0)
        self._subscriptions = (
            self._subscribe(FLAGS, route, self._flags, window=DEDUPE_WINDOW),
            self._subscribe(AGAIN, Filter.of(), self._again, window=0),
        )

    @property
    def ready(self) -> bool:
        """Whether both groups have given it its partitions, be they none."""
        return self._joined == {FLAGS, AGAIN}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The sink, open. Raises `StreamError`."""
        await self._sink.open()
        try:
            yield
        finally:
            await self._sink.close()

    async def run(self) -> None:
        """Work until `stop`. Raises `BrokerError`."""
        flags, again = self._subscriptions
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(flags, self._flags))
            group.create_task(self._follow(again, self._again, only=self.name.encode()))

    async def stop(self, within_s: float) -> None:
        """Hand over nothing more, give attempts under way `within_s`, commit what is done and leave the groups."""
        for subscription in self._subscriptions:
            subscription.stop()
        await asyncio.gather(*(courier.finish(within_s) for courier in (self._flags, self._again)))
        await asyncio.gather(*(subscription.aclose() for subscription in self._subscriptions))

    def measure(self) -> None:
        """Set the gauges, and say what could not be delivered."""
        for courier in (self._flags, self._again):
            courier.report()
        metrics.ACTION_HELD.labels(self.name).set(self._flags.held + self._again.held)
        metrics.ACTION_LAG.labels(self.name).set(sum(self._subscriptions[0].lag.values()))
        metrics.ACTION_BREAKER.labels(self.name).set(not self._gate.open)

    async def _follow(self, subscription: Subscription, courier: Courier, *, only: bytes | None = None) -> None:
        async for held in subscription.held(limit=self._rules.held):
            if only is None or _sink(held) == only:
                courier.accept(held)
            else:
                held.done()

    def _subscribe(self, topic: str, wanted: Wanted, courier: Courier, *, window: int) -> Subscription:
        names = Names(self._settings.prefix)

        def joined(_: frozenset[int]) -> None:
            self._joined.add(topic)

        return Subscription(
            Plan(
                settings=self._settings, topic=names.wire(topic), group=group_of(self._settings, self.name) + (".again" if topic == AGAIN else ""),
                wanted=wanted, start="committed", dedupe_window=window, on_poison=self._unreadable, on_assigned=joined,
                on_revoked=_dropping(courier), idle_timeout_s=None, client={},
            )
        )  # fmt: skip

    def _unreadable(self, found: Malformed) -> None:
        metrics.ACTION_UNREADABLE.labels(self.name).inc()
        log_poison(found)


def _dropping(courier: Courier) -> OnPartitions:
    return lambda _: courier.drop()


def _sink(held: Held) -> bytes | None:
    """The sink that is to have this flag again: the last header counts, as Kafka's clients hold it."""
    return dict(held.raw.headers).get(SINK_HEADER)
