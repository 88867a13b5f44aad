"""The pytest fixture `embedded_broker`, there for every project in whose environment Flagstream is installed.

pytest loads this module whenever it starts, so it imports nothing but pytest; the broker is imported by the first test that
asks for it. The module stands outside `stream/embedded/`, because a package is imported before what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stream.embedded import BrokerSettings, EmbeddedBroker


@pytest.fixture
def embedded_broker_settings() -> BrokerSettings | None:
    """How `embedded_broker` is set up: None for the defaults. Override it in a module or a `conftest.py`."""
    return None


@pytest.fixture
def embedded_broker(
    tmp_path_factory: pytest.TempPathFactory, embedded_broker_settings: BrokerSettings | None
) -> Iterator[EmbeddedBroker]:
    """A Kafka broker of the test's own, with an empty log: `.address` to connect to, `.faults` to order faults. Faults end
    with the test."""
    from stream.embedded import running_broker

    with running_broker(tmp_path_factory.mktemp("broker"), settings=embedded_broker_settings) as broker:
        yield broker
        broker.faults.clear()
