"""The broker in a thread of its own, for tests and programs without an event loop."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.embedded.broker import EmbeddedBroker
from stream.embedded.settings import BrokerSettings


@contextmanager
def running_broker(
    data_dir: Path, *, host: str = "127.0.0.1", port: int = 0, settings: BrokerSettings | None = None
) -> Iterator[EmbeddedBroker]:
    """A started broker, stopped when the block ends; `BrokerStartError` where it cannot start.

    Of the object given only `address`, `settings` and `faults` are for use from outside the broker's thread.
    """
    broker = EmbeddedBroker(data_dir, host=host, port=port, settings=settings)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="embedded-broker", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(broker.start(), loop).result()
        try:
            yield broker
        finally:
            asyncio.run_coroutine_threadsafe(broker.stop(), loop).result(timeout=60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)
        loop.close()
