"""A Kafka broker in one process, for laptops, demonstrations and tests."""

from stream.embedded.broker import EmbeddedBroker, serve
from stream.embedded.errors import BrokerStartError, EmbeddedBrokerError, ErrorCode
from stream.embedded.faults import Faults
from stream.embedded.settings import BrokerSettings
from stream.embedded.threaded import running_broker

__all__ = [
    "BrokerSettings",
    "BrokerStartError",
    "EmbeddedBroker",
    "EmbeddedBrokerError",
    "ErrorCode",
    "Faults",
    "running_broker",
    "serve",
]
