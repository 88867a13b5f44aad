"""All parts of a replay over all cores: a process each, fed part by part; Ctrl-C stops them at their next batch."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from typing import TYPE_CHECKING, Any

from stream.errors import BrokerError, StreamError, UsageError
from stream.replay.folder import unwritten
from stream.replay.part import Job, Worker

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from stream.replay.folder import Hold
    from stream.replay.source import Part

REPORT_S = 0.2
WATCH_S = 0.5
STOP_S = 60.0
ERRORS: dict[str, type[StreamError]] = {kind.__name__: kind for kind in (StreamError, UsageError, BrokerError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Offsets passed of all that there are."""

    done: int
    total: int


Show = Callable[[Progress], None]


def drive(job: Job, *, processes: int, show: Show, hold: Hold | None = None) -> bool:
    """Replay every part of `job`; False when Ctrl-C stopped it, with a checkpoint behind it. `hold` is what holds its folder, for as long
    as any process works in it. Raises `StreamError`."""
    parts = sorted(job.source.parts, key=lambda part: -part.records)
    total = sum(part.records for part in parts)
    show(Progress(done=0, total=total))
    processes = min(processes, sum(part.records > 0 for part in parts))
    if processes <= 1:
        return _here(job, parts, total, show)
    return _spread(job, parts, total, processes, show, hold)


def _here(job: Job, parts: list[Part], total: int, show: Show) -> bool:
    done = 0
    interrupted = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            # Asked twice: do not wait for the batch, nor for a broker that is silent. The last checkpoint stays.
            raise KeyboardInterrupt
        interrupted = True

    def progress(moved: int) -> None:
        nonlocal done
        done += moved
        show(Progress(done=done, total=total))

    worker = Worker(job)
    before = on_interrupt(interrupt)
    try:
        return all(worker.replay(part, progress=progress, stopped=lambda: interrupted) for part in parts)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def on_interrupt(action: Callable[..., None]) -> Any:  # noqa: ANN401 (what signal.signal gives back)
    """Have Ctrl-C do `action`; what it did before, or None where this is not the main thread."""
    try:
        return signal.signal(signal.SIGINT, action)
    except ValueError:
        # Not the main thread: whoever runs us there handles signals.
        return None


def _spread(job: Job, parts: list[Part], total: int, processes: int, show: Show, hold: Hold | None) -> bool:
    # Spawned, because onnxruntime's threads do not survive a fork.
    context: SpawnContext = multiprocessing.get_context("spawn")
    tasks: Any = context.Queue()
    reports: Any = context.Queue()
    stop = context.Event()
    for part in parts:
        tasks.put(part)
    for _ in range(processes):
        tasks.put(None)
    workers = [context.Process(target=_work, args=(job, tasks, reports, stop, hold), daemon=True) for _ in range(processes)]

    def interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = on_interrupt(interrupt)
    patience_s = STOP_S
    try:
        for worker in workers:
            worker.start()
        return _watch(workers, reports, total, show) and not stop.is_set()
    except KeyboardInterrupt:
        patience_s = 0.0
        raise
    finally:
        stop.set()
        _end(workers, reports, patience_s)
        if before is not None:
            signal.signal(signal.SIGINT, before)


def _watch(workers: list[Any], reports: Any, total: int, show: Show) -> bool:  # noqa: ANN401 (a queue has no public generic type)
    running, done, whole = len(workers), 0, True
    while running:
        try:
            word, value = reports.get(timeout=WATCH_S)
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise StreamError("a replay process died (out of memory?): --resume goes on from its checkpoint") from None
            continue
        if word == "moved":
            done += value
            show(Progress(done=done, total=total))
        elif word == "ended":
            running -= 1
            whole = whole and value
        else:
            kind, text = value
            raise ERRORS.get(kind, StreamError)(text)
    return whole


def _end(workers: list[Any], reports: Any, patience_s: float) -> None:  # noqa: ANN401
    deadline_s = time.monotonic() + patience_s
    while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline_s:
        try:
            # A process cannot end before its reports have been taken.
            reports.get(timeout=0.05)
        except queue.Empty:
            continue
    # Those behind one that could not be started never were.
    for worker in [worker for worker in workers if worker.pid is not None]:
        if worker.is_alive():
            worker.terminate()
        worker.join()


def _work(job: Job, tasks: Any, reports: Any, stop: Event, hold: Hold | None) -> None:  # noqa: ANN401, ARG001 (held until this process ends)
    # Ctrl-C reaches every process of the terminal; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    moved, told_s = 0, time.monotonic()
    parent = multiprocessing.parent_process()

    def abandoned() -> bool:
        return parent is not None and not parent.is_alive()

    def stopped() -> bool:
        # Whoever was killed cannot say so: what is left behind must not go on in a folder that another may want.
        return stop.is_set() or abandoned()

    def tell(more: int) -> None:
        nonlocal moved, told_s
        moved += more
        if time.monotonic() - told_s > REPORT_S:
            reports.put(("moved", moved))
            moved, told_s = 0, time.monotonic()

    try:
        worker = Worker(job)
        whole = True
        while (part := _next(tasks, abandoned)) is not None:
            if stopped():
                whole = False
                continue
            whole = worker.replay(part, progress=tell, stopped=stopped) and whole
        reports.put(("moved", moved))
        reports.put(("ended", whole))
    except OSError as error:
        reports.put(("failed", ("StreamError", str(unwritten(job.folder, error)))))
    except StreamError as error:
        reports.put(("failed", (type(error).__name__, str(error))))
    except Exception as error:  # noqa: BLE001 (whatever it was, the parent must hear of it)
        reports.put(("failed", ("StreamError", f"replay process: {type(error).__name__}: {error}")))
    if abandoned():
        # Nobody takes the reports any longer.
        reports.cancel_join_thread()


def _next(tasks: Any, abandoned: Callable[[], bool]) -> Part | None:  # noqa: ANN401
    """The next part; None where there is none, or nobody who would give one."""
    while not abandoned():
        try:
            part: Part | None = tasks.get(timeout=WATCH_S)
        except queue.Empty:
            continue
        return part
    return None
