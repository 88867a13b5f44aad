"""An admin client of the broker, whose refusals are the program's errors. Blocking; call it from a thread inside an event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream.clients import kafka_python_options
from stream.errors import BrokerError, NoBrokerError
from stream.settings import Settings

CONNECT_TIMEOUT_S = 5.0


@contextmanager
def admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """An admin client. Raises `BrokerError` when the broker does not answer in `CONNECT_TIMEOUT_S` or refuses."""
    broker = settings.need_broker()
    try:
        client = KafkaAdminClient(
            bootstrap_timeout_ms=int(CONNECT_TIMEOUT_S * 1000), client_id="flagstream-admin", **kafka_python_options(settings)
        )
    except (KafkaError, OSError, TimeoutError) as error:
        raise NoBrokerError(broker) from error
    try:
        yield client
    except (KafkaError, OSError) as error:
        raise BrokerError(f"the broker at {broker} refuses: {type(error).__name__}: {error}") from error
    finally:
        client.close()
