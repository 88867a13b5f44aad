"""An agent's durable state: a Faust table on the fast lane.

Faust supplies the changelog topic, co-assignment of its partitions with the input's, blocking until restored, and
catching up from local disk. What differs from a stock table: it is addressed by partition and key; a batch's writes go
out together, one record a key; and whole fetches are restored at a time.

The order of a flush is what makes a crash harmless: changelog acknowledged, then the local store, then (by the caller)
the ack. Written the other way round, a store that is ahead of its changelog is lost when another worker takes over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faust.tables.table import Table
from faust.types import TP

from agents.applied import HEADER_BYTES, not_older
from agents.protocol import StateKey
from stream.delivery import Delivery
from stream.errors import StateError
from stream.record_batch import Outgoing
from stream.stores import new_store

if TYPE_CHECKING:
    import faust

    from schemas.codec import RawRecord
    from stream.publisher import Placed


UNAPPLIED_VALUES = 4_096
"""Values of a partition that a restore gathers before it stores them: of a key that was written often only the last is."""


@dataclass(slots=True)
class Unapplied:
    """What was read of a partition's changelog after the offset `base` up to `seen`, and is not stored yet."""

    base: int | None
    seen: int | None
    values: dict[bytes, bytes | None] = field(default_factory=dict)


class StateTable(Table[bytes, bytes]):
    """Bytes by partition of the input topic and key. `store` is memory:// or rocksdb://."""

    def __init__(self, app: faust.App, *, name: str, partitions: int, store: str) -> None:
        self._store_url = store
        self._unapplied: dict[TP, Unapplied] = {}
        super().__init__(app, name=name, partitions=partitions, key_type=bytes, value_type=bytes)

    def _new_store(self) -> Any:  # noqa: ANN401 (Faust's seam)
        return new_store(
            self._store_url, self.app, self, table_name=self.name, key_type=bytes, value_type=bytes,
            key_serializer="raw", value_serializer="raw", loop=self.loop, options=self.options,
        )

    def __bool__(self) -> bool:
        # A mapping without keys is false, and `table or {}` would quietly replace a table that is still empty.
        return True

    def get(self, at: StateKey) -> bytes | None:  # type: ignore[override]  # Faust's mapping interface is not used
        """The stored value, or None. Raises `StateError` when the store fails, which is no fault of the record."""
        try:
            value: bytes | None = self.data.get_in(at.partition, at.key)  # type: ignore[attr-defined]
        except Exception as error:
            raise StateError(f"table {self.name}, partition {at.partition}: {type(error).__name__}") from error
        return value

    async def flush(self, writes: Mapping[StateKey, bytes], delivery: Delivery, *, stale: Callable[[], bool]) -> bool:
        """Make `writes` durable: changelog first, then the local store. False when the batch became stale before. A value of
        nothing but a header is a deletion."""
        if not writes:
            return True
        topic = self.changelog_topic_name
        values = {at: value if len(value) > HEADER_BYTES else None for at, value in writes.items()}
        placed = await delivery.persist(
            [Outgoing(topic, at.key, value, partition=at.partition) for at, value in values.items()], stale=stale
        )
        if placed is None or stale():
            return False
        for partition in {run.partition for run in placed}:
            tp = TP(topic, partition)
            items = [(at.key, value) for at, value in values.items() if at.partition == partition]
            end = self._followed(tp, [run for run in placed if run.partition == partition])
            self.data.apply(tp, items, end)  # type: ignore[attr-defined]
        return True

    def _followed(self, tp: TP, runs: Sequence[Placed]) -> int:
        """Up to which offset the local copy holds changelog `tp`, once `runs` are applied. What lies between its end and a run was
        written by another worker, which had the partition while this one was stopped or cut off: the copy stays behind the
        gap, so that it is read when partitions are assigned anew."""
        held = self.data.persisted_offset(tp)
        end = -1 if held is None else int(held)
        for run in sorted(runs, key=lambda run: run.base):
            if run.base > end + 1:
                break
            end = max(end, run.base + run.records - 1)
        return end

    def restore(self, tp: TP, records: list[RawRecord]) -> None:
        """Apply a fetch of the changelog. Of two values of a key the one that had applied more input stays, so that the
        late write of a worker that had lost its partitions cannot roll a key back."""
        recovery = self.app.tables.recovery  # type: ignore[attr-defined]  # faust types the interface
        if tp not in recovery.active_tps:
            self._unapplied.pop(tp, None)
            return
        base = recovery.active_offsets.get(tp)
        part = self._unapplied.get(tp)
        if part is None or part.base != base:
            # The offset moves with what is stored alone: what was gathered behind another one is fetched again.
            part = self._unapplied[tp] = Unapplied(base, base)
        if part.seen is not None and records[0].offset <= part.seen:
            seen = part.seen
            records = [record for record in records if record.offset > seen]
        if not records:
            return
        self._gather(tp, records, part.values)
        part.seen = last = records[-1].offset
        more = recovery.in_recovery and (recovery.active_highwaters.get(tp) or 0) > last
        if more and len(part.values) < UNAPPLIED_VALUES:
            return
        self.data.apply(tp, part.values.items(), last)  # type: ignore[attr-defined]
        del self._unapplied[tp]
        recovery.active_offsets[tp] = last
        if recovery.in_recovery and not recovery.need_recovery():
            recovery._set_recovery_ended()
            recovery.signal_recovery_end.set()

    def _gather(self, tp: TP, records: Sequence[RawRecord], latest: dict[bytes, bytes | None]) -> None:
        """Put into `latest` what `records` leave of each key."""
        get_in, partition = self.data.get_in, tp.partition  # type: ignore[attr-defined]
        # With the first value goes the offset: a partition without one holds nothing that would have to be asked for.
        stored = self.data.persisted_offset(tp) is not None
        for _, key, value, _, _ in records:
            if key is None:
                continue
            held = latest[key] if key in latest else get_in(partition, key) if stored else None
            if held is None or value is None or not_older(value, held):
                latest[key] = value
