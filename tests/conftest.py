"""Fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded import running_broker

pytest_plugins = ["tests.brokers.fixtures"]

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of data sets; the test is skipped where there is none."""
    folder = Path(os.environ.get("FLAGSTREAM_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"data sets: none at {folder} (set FLAGSTREAM_DATA)")
    return folder


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[str]:
    """The address of an embedded broker with an empty log."""
    with running_broker(tmp_path / "broker") as broker:
        yield broker.address
