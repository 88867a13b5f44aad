"""The local copy of a table never claims to hold what another worker wrote to its changelog."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

import pytest
from faust.types import TP

from agents.applied import Applied, pack
from agents.fraud import FraudAgent
from agents.protocol import StateKey
from stream import load, topics
from stream.app import HISTORIES, Registration, build_app
from stream.delivery import Delivery
from stream.embedded import running_broker
from stream.names import Names
from stream.publisher import Publisher, producing
from stream.record_batch import Outgoing
from stream.settings import Settings
from stream.state import StateTable


def _value(offset: int) -> bytes:
    return pack(Applied(1_000 + offset, offset), b"past")


@pytest.mark.parametrize("store", ["memory", "rocksdb"])
async def test_a_worker_that_was_stopped_while_another_wrote_stays_behind_the_gap_until_it_is_read(
    tmp_path: Path, store: Literal["memory", "rocksdb"]
) -> None:
    with running_broker(tmp_path / "log") as broker:
        settings = Settings(broker=broker.address, state_dir=tmp_path / "state", state_store=store)
        topics.create(settings)
        changelog = topics.changelog_name(settings, HISTORIES)
        topics.create_changelog(settings, changelog, 4)
        async with producing(settings) as producer:
            bundle, model = load.fraud_model(settings)
            policy = load.load_policy(settings)

            def build(_: object) -> FraudAgent:
                return load.fraud_agent(bundle, model, policy, {})

            app = build_app(settings, [Registration("transactions", build, 8, stateful=True)], producer, partitions={"transactions": 4})
            table = cast("StateTable", app.tables[HISTORIES])
            publisher = Publisher(producer)
            delivery, place, key = Delivery(publisher, Names()), TP(changelog, 2), StateKey(2, b"card")
            for offset in (0, 1):
                assert await table.flush({key: _value(offset)}, delivery, stale=lambda: False)
            assert table.data.persisted_offset(place) == 1

            await publisher.send([Outgoing(changelog, b"other card", _value(7), partition=2)])
            for offset in (2, 3):
                assert await table.flush({key: _value(offset)}, delivery, stale=lambda: False)
            assert table.get(key) == _value(3)
            assert table.data.persisted_offset(place) == 1
