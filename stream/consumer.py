"""Faust's transport with lanes: its consumer is subclassed, and fetches of some topics are taken whole.

Stock Faust spends about 180 µs a record on a task and four futures. Group membership, rebalance, commit, tables and every other
topic stay Faust's; the topics of a lane and the changelogs of tables take the short way.

This touches private attributes of faust-streaming and aiokafka, both pinned: see tests/stream/test_private_contract.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka.errors import IllegalStateError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from schemas.codec import RawRecord
from stream.fetching import FetchThread
from stream.lane import Fetch, Lane

if TYPE_CHECKING:
    import faust
    from aiokafka.structs import ConsumerRecord
    from faust.tables.recovery import Recovery

log = structlog.get_logger(__name__)

IDLE_POLL_S = 1.0
PAUSED_POLL_S = 0.05
"""How long a fetch may wait while a partition of some lane is paused, so that it comes back soon after it is resumed."""

RECOVERY_RESTART_S = 5.0

Restore = Callable[[TP, "list[RawRecord]"], None]
"""Takes a fetch of a changelog topic."""


class LaneConsumer(driver.Consumer):
    """Faust's consumer, except that fetches of lanes and of restoring changelogs are taken whole."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (Faust's signature is passed through)
        super().__init__(*args, **kwargs)
        transport: LaneTransport = self.transport  # type: ignore[assignment]  # faust types the base class
        self.lanes = transport.lanes
        self.restores = transport.restores
        for lane in self.lanes.values():
            lane.consumer = self
        self.epoch = 0
        self.done: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        self._gaps: dict[TP, int] = {}
        """Where the records of a partition went on behind a gap, which is believed when it is found a second time."""
        self._rewind_due = False
        self._settled = False
        """Input may be taken: partitions are assigned, their state is restored, and their positions are the committed ones."""
        self._sought: set[TP] = set()
        """Changelog partitions whose positions the recovery under way has set; what comes of others is of the one before."""
        self._seeks = 0
        self._resumed = asyncio.Event()

    def _new_consumer_thread(self) -> FetchThread:
        transport: LaneTransport = self.transport  # type: ignore[assignment]  # faust types the base class
        return FetchThread(self, transport.lanes, transport.restores, loop=self.loop, beacon=self.beacon)

    # Commit: the acknowledged end of a partition is all there is to know.

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ANN401
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in tuple(self.done):
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic in self.lanes:
            return self.done.get(tp)
        return super()._new_offset(tp)

    # Rebalance and seeks: each starts a new epoch.

    def new_epoch(self) -> None:
        """Make everything fetched so far stale."""
        self.epoch += 1
        self.done.clear()
        self._next.clear()
        for lane in self.lanes.values():
            lane.clear()
        for tp in tuple(self._buffered_partitions):
            self.on_buffer_drop(tp)
        self._resumed.set()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish the batches in hand (bounded), commit them, then let go."""
        self._settled = False
        self._sought.clear()
        self.stop_flow()
        await self._finish_in_hand(self.app.conf.broker_rebalance_timeout * 0.5)
        if revoked and not self.should_stop:
            await self.commit()
        self.new_epoch()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take over partitions: their state is to be restored first."""
        # Faust forgets that the recovery before this one ended only every 5 seconds. Two rebalances in a shorter time, and
        # the second would be over at once, with partitions that start from nothing.
        self._settled = False
        self._sought.clear()
        self._recovery.signal_recovery_end.clear()
        await super().on_partitions_assigned(assigned, generation_id)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek changelogs, which Faust asks for when a recovery begins. What was fetched of them before is void: taken, it would
        hide what lies between the position sought and itself."""
        await super().seek_wait(partitions)
        self._seeks += 1
        self._sought.update(partitions)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, which Faust asks for when it holds that a rebalance and its recovery are over."""
        if self.restores and self._recovery.need_recovery():
            # It is mistaken: the end of a recovery may be signalled while the changelogs' ends are still being asked for.
            log.warning("state.incomplete", left=sum(self._recovery.active_remaining().values()))
            self._sought.clear()
            self._recovery.signal_recovery_end.clear()
            self._recovery.signal_recovery_start.set()
            # Faust cancels this as soon as it sees the signal, and recovers once more.
            await asyncio.sleep(RECOVERY_RESTART_S)
            return
        epoch = self.epoch
        await super().perform_seek()
        if epoch != self.epoch:
            return  # partitions were revoked meanwhile: this is called again for those that come
        # What was fetched while Faust resumed and sought is void, and only the loop that fetches can seek with no fetch
        # under way: one that returned between Faust's seek and this line would leave a gap.
        self.new_epoch()
        self._settled = True
        self._rewind_due = True

    @property
    def _recovery(self) -> Recovery:
        return self.app.tables.recovery  # type: ignore[attr-defined, no-any-return]  # faust types the interface

    async def wait_empty(self) -> None:
        """Finish the batches in hand (bounded) and commit: what Faust calls when it stops."""
        if not await self._finish_in_hand(self.app.conf.broker_rebalance_timeout):
            log.warning("lane.unfinished", hint="the batch in hand will be delivered again")
        await self.commit_and_end_transactions()

    async def _finish_in_hand(self, timeout_s: float) -> bool:
        for lane in self.lanes.values():
            lane.clear()
        return all(await asyncio.gather(*(lane.until_idle(timeout_s) for lane in self.lanes.values())))

    def rewind(self) -> None:
        """Deliver again, soon, what is not acknowledged."""
        self._rewind_due = True

    async def _rewind(self) -> None:
        """Deliver again what is not acknowledged, after a fetch had to be discarded."""
        self._rewind_due = False
        if self._recovery.in_recovery:
            await self._seek_all({tp: max(self._recovery.active_offsets[tp] or 0, 0) for tp in self._recovery.active_tps})
        if not self._settled:
            return  # input is sought when it is settled
        assigned = [tp for tp in self.assignment() if tp.topic in self.lanes]
        safe = {tp: self.done.get(tp) or self._committed_offset[tp] for tp in assigned}
        acknowledged = self.done.copy()
        self.new_epoch()
        self.done.update(acknowledged)
        await self._seek_all(safe)

    async def _seek_all(self, offsets: dict[TP, int | None]) -> None:
        """Seek, in the thread of the client; a partition without an offset to its beginning."""
        fresh = [tp for tp, offset in offsets.items() if offset is None]
        try:
            # Not `seek_to_beginning`: it leaves a partition without a position for a while, at which Faust's watch crashes.
            first = await self.earliest_offsets(*fresh) if fresh else {}
            await self._thread.seek_wait({tp: first.get(tp, 0) if offset is None else offset for tp, offset in offsets.items()})
        except IllegalStateError:
            log.info("lane.revoked", hint="partitions went elsewhere before they were sought")

    # Fetching.

    def resume_lane(self, topic: str) -> None:
        """Fetch the partitions of `topic` again."""
        for tp in [tp for tp in self._buffered_partitions if tp.topic == topic]:
            self.on_buffer_drop(tp)
            self._resumed.set()

    async def _drain_messages(self, fetcher: Any) -> None:  # noqa: ANN401
        # Named by Faust; the body of its fetcher service.
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                await self._drain_once()
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as Faust itself does
            return
        if self._rewind_due:
            await self._rewind()
        if self._buffered_partitions and not self._get_active_partitions():
            # Faust would sleep for a second here.
            self._resumed.clear()
            await self.wait_for_stopped(self._resumed.wait(), timeout=PAUSED_POLL_S)
            return
        epoch, seeks = self.epoch, self._seeks
        poll_s = PAUSED_POLL_S if self._buffered_partitions else IDLE_POLL_S
        fetched, active = await self._wait_next_records(poll_s)
        if not fetched or self.should_stop:
            await asyncio.sleep(0)
            return
        if epoch != self.epoch or seeks != self._seeks or not self.flow_active:
            self._rewind_due = True
            return
        for place, records in fetched.items():
            tp = TP(place.topic, place.partition)
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                self._rewind_due = self._rewind_due or tp.topic in self.lanes
            elif tp.topic in self.lanes:
                self._put(tp, records)
            elif tp.topic in self.restores:
                if tp in self._sought:
                    self.restores[tp.topic](tp, records)
                await asyncio.sleep(0)
            else:
                await self._deliver_slowly(tp, records, epoch)

    def _put(self, tp: TP, records: list[RawRecord]) -> None:
        if not self._settled:
            # Faust resumes the input before it has sought it; what is fetched in between comes again after the seek.
            return
        expected = self._next.get(tp) or self.done.get(tp) or self._committed_offset[tp] or 0
        first = records[0].offset
        if first > expected > 0 and self._gaps.get(tp) != first:
            # Retention and transactions leave gaps, and so would a record that was passed over: look again.
            log.info("lane.gap", partition=tp.partition, expected=expected, found=first)
            self._gaps[tp] = first
            self._rewind_due = True
            return
        if first < expected:
            records = [record for record in records if record.offset >= expected]
            if not records:
                return
        self._next[tp] = records[-1].offset + 1
        monitor = self.app.monitor
        monitor.track_tp_end_offset(tp, self.highwater(tp))
        monitor.stream_inbound_time[tp] = asyncio.get_running_loop().time()
        lane = self.lanes[tp.topic]
        lane.put(Fetch(self.epoch, tp, records))
        if lane.full:
            for other in [other for other in self._get_active_partitions() if other.topic == tp.topic]:
                self.on_buffer_full(other)

    async def _deliver_slowly(self, tp: TP, records: list[ConsumerRecord[bytes, bytes]], epoch: int) -> None:
        """Faust's own path, for topics without a lane."""
        for record in records:
            read = self._read_offset[tp]
            if read is not None and record.offset < read:
                continue
            if read and record.offset - read > 1:
                await self._add_gap(tp, read + 1, record.offset)
            await self.wait_first(self.callback(self._to_message(tp, record)), self.suspend_flow.wait())
            if epoch != self.epoch:
                return
            self._read_offset[tp] = record.offset


class LaneTransport(driver.Transport):
    """Faust's transport with lanes."""

    Consumer = LaneConsumer

    def __init__(self, *args: Any, lanes: dict[str, Lane], restores: dict[str, Restore], **kwargs: Any) -> None:  # noqa: ANN401
        self.lanes = lanes
        self.restores = restores
        super().__init__(*args, **kwargs)


def install(app: faust.App) -> LaneTransport:
    """Give `app` a transport with lanes, before it starts; `lanes` and `restores` are filled by topic on the wire."""
    transport = LaneTransport(app.conf.broker_consumer, app, lanes={}, restores={})
    app.transport = transport
    return transport
