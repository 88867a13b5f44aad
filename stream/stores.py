"""Where a table keeps its partitions: in memory, or in RocksDB with the changelog offset in the same write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import rocksdict
from faust.stores import memory, rocksdb
from faust.types import TP

Item = tuple[bytes, bytes | None]


class Partitions(Protocol):
    """Values by partition and key, and up to which changelog offset each partition is."""

    def get_in(self, partition: int, key: bytes) -> bytes | None:
        """The value, or None."""
        ...

    def apply(self, tp: TP, items: Iterable[Item], offset: int) -> None:
        """Store `items` (a value of None deletes) and that changelog partition `tp` is applied up to `offset`, both or neither."""
        ...

    def items_in(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All values of a partition."""
        ...


class MemoryPartitions(memory.Store):  # type: ignore[type-arg]  # faust leaves it generic
    """In memory: gone with the process, restored from the changelog."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._partitions: dict[int, dict[bytes, bytes]] = {}
        self._offsets: dict[TP, int] = {}

    def get_in(self, partition: int, key: bytes) -> bytes | None:
        """The value, or None."""
        return self._partitions.get(partition, {}).get(key)

    def apply(self, tp: TP, items: Iterable[Item], offset: int) -> None:
        """Store `items` and the offset."""
        values = self._partitions.setdefault(tp.partition, {})
        for key, value in items:
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        self._offsets[tp] = offset

    def items_in(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All values of a partition."""
        return iter(self._partitions.get(partition, {}).items())

    def persisted_offset(self, tp: TP) -> int | None:
        """The changelog offset up to which `tp` is applied."""
        return self._offsets.get(tp)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0  # noqa: ARG002 (Faust's)
    ) -> None:
        """Forget the partitions that went elsewhere: they are restored if they come back."""
        for tp in revoked - assigned:
            if tp.topic == self.table.changelog_topic.get_topic_name():
                self._partitions.pop(tp.partition, None)
                self._offsets.pop(tp, None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Nothing to do: partitions are kept apart from the start."""


class RocksPartitions(rocksdb.Store):
    """On disk, one RocksDB a partition: after a restart only the tail of the changelog is read."""

    def get_in(self, partition: int, key: bytes) -> bytes | None:
        """The value, or None."""
        value: bytes | None = self._db_for_partition(partition).get(key)
        return value

    def apply(self, tp: TP, items: Iterable[Item], offset: int) -> None:
        """Store `items` and the offset in one atomic write."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in items:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self.offset_key, str(offset).encode())
        self._db_for_partition(tp.partition).write(batch)

    def items_in(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All values of a partition."""
        yield from self._visible_items(self._db_for_partition(partition))


def new_store(url: str, app: Any, table: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Faust's untyped seam)
    """The store for `url`: memory:// or rocksdb://."""
    kind = RocksPartitions if url.startswith("rocksdb") else MemoryPartitions
    return kind(url, app, table, **kwargs)
