"""One part of a replay: its records through the agents, its scores and flags into files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np

from schemas.base import Contract
from schemas.codec import RawRecord, Record, decode, encode
from schemas.labels import Kind
from schemas.message import Message
from schemas.transaction import Transaction
from stream.replay import checkpoint
from stream.replay.ages import Ages
from stream.replay.checkpoint import Checkpoint, PartFiles
from stream.replay.judge import Histories, Judge
from stream.replay.rows import rows_of
from stream.replay.scoring import Scoring
from stream.replay.segments import Segments
from stream.replay.source import Part, Source
from stream.replay.tally import Tally

BATCH = 512
"""Records judged at once. Nobody waits for an answer, and among so many texts enough are of one length: 5 % faster than 128."""
CONTRACT: dict[Kind, type[Message] | type[Transaction]] = {"message": Message, "transaction": Transaction}
CHECKPOINT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a replay does, in a form that another process can be given. `at` stamps every flag, so that a repetition gives the
    same bytes."""

    source: Source
    kind: Kind
    judge: Judge
    against: Judge | None
    folder: Path
    at: datetime


class Worker:
    """Replays parts of a job, one after the other; its models are loaded once."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._sides = [Scoring(judge, Histories()) for judge in (job.judge, job.against) if judge is not None]
        self._ages = Ages()
        self._contract: type[Contract] = CONTRACT[job.kind]

    def replay(self, part: Part, *, progress: Callable[[int], None], stopped: Callable[[], bool]) -> bool:
        """Replay `part` from its checkpoint on, if it has one; False when `stopped()` ended it before its end.

        `progress` gets the number of offsets that each batch moved on by. Raises `StreamError`."""
        files = PartFiles(self._job.folder, part.number)
        found = checkpoint.load(files) or Checkpoint(next=part.start, tally=Tally(), segments=Segments())
        progress(found.next - part.start)
        if found.complete:
            return True
        for side, held in enumerate(self._sides):
            held.state.values = checkpoint.read_state(files.state(found.version, side)) if found.version else {}
        self._ages.values = checkpoint.read_state(files.state(found.version, len(self._sides))) if found.version else {}
        with _opened(files.rows, found.rows_bytes) as rows, _opened(files.flags, found.flags_bytes) as flags:
            return self._run(part, files, found, rows, flags, progress, stopped)

    def _run(
        self, part: Part, files: PartFiles, found: Checkpoint, rows: BinaryIO, flags: BinaryIO,
        progress: Callable[[int], None], stopped: Callable[[], bool],
    ) -> bool:
        tally, segments, version, done = found.tally, found.segments, found.version, found.next
        cpu_s, saved_s = time.process_time(), time.monotonic()

        def save(*, complete: bool) -> None:
            nonlocal version, cpu_s, saved_s
            version += 1
            rows.flush()
            flags.flush()
            tally.cpu_s += time.process_time() - cpu_s
            cpu_s, saved_s = time.process_time(), time.monotonic()
            here = Checkpoint(
                next=done, tally=tally, segments=segments, rows_bytes=rows.tell(), flags_bytes=flags.tell(),
                version=version, complete=complete,
            )
            states = [*(side.state.values for side in self._sides), self._ages.values]
            checkpoint.save(files, here, [] if complete else states)

        for batch in self._job.source.batches(part, size=BATCH, begin=done):
            warm = [raw for raw in batch if raw.at.offset < part.counted]
            for records, counts in ((warm, False), (batch[len(warm) :], True)):
                if records:
                    self._judge(records, tally, segments, rows if counts else None, flags)
            tally.absent += batch[-1].at.offset + 1 - done - len(batch)
            progress(batch[-1].at.offset + 1 - done)
            done = batch[-1].at.offset + 1
            if stopped():
                save(complete=False)
                return False
            if time.monotonic() - saved_s > CHECKPOINT_S:
                save(complete=False)
        tally.absent += max(0, part.end - done)
        progress(max(0, part.end - done))
        done = max(done, part.end)
        save(complete=True)
        for side in range(len(self._sides) + 1):
            files.state(version - 1, side).unlink(missing_ok=True)
        return True

    def _judge(self, records: list[RawRecord], tally: Tally, segments: Segments, rows: BinaryIO | None, flags: BinaryIO) -> None:
        read = [decode(self._contract, raw) for raw in records]
        events = [(one.raw.at.offset, one.body) for one in read if isinstance(one, Record)]
        offsets = [offset for offset, _ in events]
        ages = self._ages.of(records[0].at.partition, events)  # type: ignore[arg-type]  # the contract of the kind
        judged = [side.judge(records, offsets, at=self._job.at) for side in self._sides]
        for side, (outcome, _) in zip(self._sides, judged, strict=True):
            side.state.apply(outcome.state)
        first, scores = judged[0]
        if rows is None:
            tally.warmup += len(records)
            return
        tally.count(events=len(records), flags=first.flags, letters=first.dead_letters, redelivered=first.redelivered)
        tally.pay(event.currency for _, event in events if isinstance(event, Transaction))
        against = judged[1][1] if len(judged) > 1 else np.zeros((len(events), 0), np.uint32)
        rows.write(rows_of(events, scores, against, segments, ages).tobytes())  # type: ignore[arg-type]  # the contract of the kind
        flags.writelines(encode(flag) + b"\n" for flag in first.flags)


def _opened(path: Path, size: int) -> BinaryIO:
    """`path` cut to `size` and open for more."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file
