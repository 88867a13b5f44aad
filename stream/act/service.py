"""The actions service: starts a post for each sink, serves its health, and stops in good order."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import structlog

from stream import topics
from stream.act import positions
from stream.act.build import gate_of, sink_of
from stream.act.environment import Environment
from stream.act.letters import Letters
from stream.act.post import AGAIN, FLAGS, Post, group_of
from stream.act.rules import Rules
from stream.delivery import Delivery
from stream.errors import StreamError, UsageError
from stream.names import Names
from stream.publisher import Publisher, producing
from stream.settings import Settings
from stream.web import serving

log = structlog.get_logger(__name__)

STOP_TIMEOUT_S = 20.0
"""What attempts under way are given when the service is told to stop; then they come again at the next start."""
USED = (FLAGS, AGAIN, "dead-letters")
"""Topics of the table that it needs. Where there are ACLs it may know of no others."""
MEASURE_S = 0.5
SPARE_THREADS = 8


async def run(settings: Settings, rules: Rules, *, only: Collection[str] = (), on_ready: Callable[[str], None]) -> None:
    """Act on flags until SIGTERM or SIGINT. `only` names the sinks of `rules` to run, none for all. `on_ready` gets the address of the HTTP
    server once every sink takes part in its groups. Raises `StreamError` when it cannot start or the broker refuses; nothing is lost by that."""
    if unknown := sorted(set(only) - set(rules.sinks)):
        raise UsageError(f"no sink {unknown[0]!r} in the rules; there are: {', '.join(rules.sinks)}")
    chosen = [name for name in rules.sinks if not only or name in only]
    environment = Environment(os.environ)
    for name in chosen:
        for variable in rules.sinks[name].variables:
            environment.value(variable)
    stopping = asyncio.Event()
    # Names are looked up in threads: one that hangs in its own must not take the last.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(SPARE_THREADS + 2 * len(chosen)))
    async with producing(settings) as producer, AsyncExitStack() as stack:
        letters = Letters(Delivery(Publisher(producer), Names(settings.prefix)), stale=stopping.is_set)
        posts = [
            Post(
                settings, name, rules.sinks[name], route=rules.route(name), sink=sink_of(rules.sinks[name], environment, settings, producer),
                gate=gate_of(rules.sinks[name]), letters=letters,
            )
            for name in chosen
        ]  # fmt: skip
        # A sink that cannot be opened must not have begun.
        for post in posts:
            await stack.enter_async_context(post.opened())
        await asyncio.to_thread(_prepare, settings, rules, chosen)
        await _serve(settings, posts, stopping, on_ready)


def _prepare(settings: Settings, rules: Rules, chosen: Collection[str]) -> None:
    """Topics that are missing, and where new sinks begin. What was sent again is wanted from the start."""
    topics.create(settings, only=USED)
    names = Names(settings.prefix)
    positions.prepare(settings, names.wire(FLAGS), {group_of(settings, name): rules.sinks[name].start for name in chosen})
    positions.prepare(settings, names.wire(AGAIN), {group_of(settings, name) + ".again": "earliest" for name in chosen})


async def _serve(settings: Settings, posts: list[Post], stopping: asyncio.Event, on_ready: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    failed = False
    # What cannot serve its health must not have acted.
    async with serving(settings, healthy=lambda: not failed, ready=lambda: all(post.ready for post in posts)) as address:
        running = [asyncio.create_task(post.run(), name=f"act.{post.name}") for post in posts]
        announced = False
        try:
            while not stopping.is_set() and not (failed := any(task.done() for task in running)):
                if not announced and all(post.ready for post in posts):
                    announced = True
                    log.info("act.ready", web=address, sinks=[post.name for post in posts])
                    on_ready(address)
                for post in posts:
                    post.measure()
                try:
                    await asyncio.wait_for(stopping.wait(), MEASURE_S)
                except TimeoutError:
                    continue
        finally:
            log.info("act.stopping")
            stopping.set()
            await asyncio.gather(*(post.stop(STOP_TIMEOUT_S) for post in posts), return_exceptions=True)
            outcomes = await asyncio.gather(*running, return_exceptions=True)
            log.info("act.stopped")
    for outcome in outcomes:
        if isinstance(outcome, BaseExceptionGroup):
            outcome = outcome.exceptions[0]  # noqa: PLW2901 (a task group wraps what it raises)
        if isinstance(outcome, BaseException):
            raise outcome if isinstance(outcome, StreamError) else StreamError(f"a sink stopped: {type(outcome).__name__}") from outcome
