"""The fixture `embedded_broker`, for this project's tests and for those of projects that use it.

Put `pytest_plugins = ["stream.embedded.pytest_plugin"]` in the top `conftest.py`.
"""

from collections.abc import Iterator

import pytest

from stream.embedded.broker import EmbeddedBroker
from stream.embedded.threaded import running_broker


@pytest.fixture
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A broker of the test's own: `.address` to connect to, `.faults` to order faults. Faults end with the test."""
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker
        broker.faults.clear()
