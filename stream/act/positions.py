"""Where a sink begins that has never run. Blocking; call it from a thread inside an event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import structlog
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from stream.errors import BrokerError
from stream.settings import Settings
from stream.subscribe.blocking import connect, offsets_at

log = structlog.get_logger(__name__)


def prepare(settings: Settings, topic: str, groups: Mapping[str, Literal["latest", "earliest"]]) -> None:
    """Commit a first position of each of `groups` in all partitions of `topic` (names on the wire), unless the group has committed
    before. Without that a sink that is new would act on all flags there ever were, and one without committed offsets would pass over those that
    came while it was down. Raises `BrokerError`."""
    for group, start in groups.items():
        consumer = connect(settings, group_id=group)
        try:
            tps = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
            if any(consumer.committed(tp) is not None for tp in tps):
                continue
            consumer.assign(tps)
            consumer.commit({tp: OffsetAndMetadata(offset, "", -1) for tp, offset in offsets_at(consumer, tps, start).items()})
            log.info("act.new_sink", group=group, start=start)
        except KafkaError as error:
            # Another process got there first: the group has members already, and with them a position.
            if type(error).__name__ not in ("CommitFailedError", "UnknownMemberIdError", "IllegalGenerationError"):
                raise BrokerError(f"the broker at {settings.broker} refuses: {type(error).__name__}: {error}") from error
        finally:
            consumer.close(autocommit=False, timeout_ms=1_000)
