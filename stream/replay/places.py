"""The terminals' side of a replay: its parts are judged apart, but a terminal is visited from all of them, so this goes first.

The agents of the worker are driven here over all parts at once, in the order in which their clocks run, with each verdict at its own
time, and the terminal's half of each row is written down. The parts then find it in a file."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from agents.assess import Case
from agents.board import Inputs
from agents.fraud import FraudAgent
from agents.terminals import Due, TerminalAgent, Work
from agents.verdicts import VerdictAgent
from agents.visits import TOPIC, Ruling, Visit, read
from models.features import Vector, vector
from models.terminal_features import TERMINAL_FEATURES
from schemas.codec import Position, RawRecord
from schemas.flag import Provenance, Reason
from schemas.policy import Policy
from stream.replay.drive import Progress, Show
from stream.replay.judge import Histories, Judge, looks_at_terminals
from stream.replay.source import Part, Source
from stream.replay.verdicts import verdict_records
from stream.settings import Settings

NAMES = tuple(feature.__name__ for feature in TERMINAL_FEATURES)
BATCH = 512
FOREVER_S = 1e9
_AT = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Policy(name="none", labels={})
_ORIGIN = Provenance(model="none", policy="none")

Line = tuple[int, int, bytes | None, bytes]
"""A record for the agent of terminals: when it counts (epoch ms), verdicts (0) before visits (1), key, value."""


class _Blank:
    """A model that asks for all features of the terminal's side and says nothing."""

    features = NAMES
    vector: Vector = staticmethod(vector(NAMES))

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Zeros."""
        return np.zeros(len(rows), np.float32)

    def reasons(self, row: Sequence[float]) -> tuple[Reason, ...]:  # noqa: ARG002 (the agents' seam)
        """None."""
        return ()


class _Watched(TerminalAgent):
    """The agent of terminals, whose cases are kept."""

    def __init__(self) -> None:
        self.state = Histories()
        self.cases: list[Case] = []
        # No input is waited for: what comes is in order.
        super().__init__(_Blank(), _NOTHING, self.state, _ORIGIN, inputs=Inputs(0, 0), wait_s=FOREVER_S, tier="none")

    def case(self, work: Work, due: Due) -> Case:
        """As the agent makes it."""
        found = super().case(work, due)
        self.cases.append(found)
        return found


def with_places(
    settings: Settings, verdicts: str, source: Source, folder: Path, judge: Judge, against: Judge | None, *, show: Show
) -> tuple[Judge, Judge | None]:
    """`judge` and `against` with what is known of terminals, left in `folder`, where their models look at them. Raises `StreamError`."""
    if not any(looks_at_terminals(side) for side in (judge, against)):
        return judge, against
    fold_places(source, verdict_records(settings, verdicts), folder, show=show)
    return (
        replace(judge, places=folder) if looks_at_terminals(judge) else judge,
        replace(against, places=folder) if looks_at_terminals(against) else against,
    )


def fold_places(source: Source, verdicts: Iterable[list[RawRecord]], folder: Path, *, show: Show) -> None:
    """Leave in `folder` what is known of the terminals of all transactions of `source`, given `verdicts`, unless it is there from
    before. `show` gets the progress. Raises `StreamError`."""
    if folder.is_dir():
        return
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    total, done = sum(part.records for part in source.parts), 0

    def moved(more: int) -> None:
        nonlocal done
        done += more
        show(Progress(done=done, total=total))

    lines = heapq.merge(_rulings(verdicts), *(_visits(source, part, moved) for part in source.parts), key=itemgetter(0, 1))
    with ExitStack() as stack:
        files = {
            part.number: tuple(stack.enter_context((fresh / f"{part.number}.{kind}").open("wb")) for kind in ("offsets", "rows"))
            for part in source.parts
        }
        _fold(lines, files)
    fresh.replace(folder)


def _fold(lines: Iterator[Line], files: Mapping[int, tuple[BinaryIO, ...]]) -> None:
    agent = _Watched()
    batch: list[RawRecord] = []

    def judge() -> None:
        agent.state.apply(agent.handle(batch, at=_AT).state)
        batch.clear()
        for case in agent.cases:
            if not case.not_assessed:
                at = case.event.at if isinstance(case.event, Visit) else case.event.raw.at
                offsets, rows = files[at.partition]
                offsets.write(np.int64(at.offset).tobytes())
                rows.write(np.array(case.row, np.float64).tobytes())
        agent.cases.clear()

    for number, (_, _, key, value) in enumerate(lines):
        batch.append(RawRecord(Position(TOPIC, 0, number), key, value, 0))
        if len(batch) == BATCH:
            judge()
    judge()


def _visits(source: Source, part: Part, moved: Callable[[int], None]) -> Iterator[Line]:
    """The visits of a part, as the agent of cards sends them on: their clock never runs back."""
    state = Histories()
    agent = FraudAgent(_Blank(), _NOTHING, state, _ORIGIN, tier="none", terminals=1)
    done = part.start
    for batch in source.batches(part, size=BATCH, begin=part.start):
        outcome = agent.handle(batch, at=_AT)
        state.apply(outcome.state)
        for one in outcome.onward:
            visit = read(one.value)
            assert isinstance(visit, Visit)
            yield visit.clock_ms, 1, one.key, one.value
        moved(batch[-1].at.offset + 1 - done)
        done = batch[-1].at.offset + 1


def _rulings(verdicts: Iterable[list[RawRecord]]) -> Iterator[Line]:
    """The verdicts on fraud in the order of their times; those that cannot be read are left out."""
    agent = VerdictAgent(partitions=1)
    found: list[Line] = []
    for batch in verdicts:
        for one in agent.handle(batch, at=_AT).onward:
            ruling = read(one.value)
            assert isinstance(ruling, Ruling)
            found.append((ruling.known_ms, 0, None, one.value))
    yield from sorted(found, key=itemgetter(0))
