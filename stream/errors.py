"""What the stream room raises.

StreamError           one line for people; exit code 1
├── UsageError        wrong use: an unknown setting, a missing file; exit code 2
├── BrokerError       the broker cannot be reached or refuses
│   └── NoBrokerError nothing answers at its address
├── ClientGaveUpError the Kafka client of a running worker has failed for good; a worker begins anew
└── StateError        the local copy of the state cannot be read or written; the batch is tried again
"""

from __future__ import annotations


class StreamError(Exception):
    """The root: the message says what is wrong and what to do."""

    exit_code = 1


class UsageError(StreamError):
    """The command, a setting or a file named by the user is wrong."""

    exit_code = 2


class BrokerError(StreamError):
    """The broker cannot be reached, or refuses what was asked."""


class NoBrokerError(BrokerError):
    """Nothing answers at `address`, where a broker should be."""

    def __init__(self, address: str | None) -> None:
        super().__init__(f"no Kafka broker answers at {address}: is it running, and is the address right?")


class ClientGaveUpError(StreamError):
    """The Kafka client of a running worker has failed, or has stopped fetching. What was not committed is delivered again."""


class StateError(StreamError):
    """The local copy of the state cannot be read or written."""
