from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from agents.fraud import FraudAgent
from agents.moderation import ModerationAgent
from agents.protocol import Agent, State
from models.features import vector
from schemas.codec import Position, RawRecord
from schemas.flag import Flag, Provenance, Reason
from schemas.labels import Kind
from schemas.policy import LabelRule, Policy
from stream.replay.part import Job, Worker
from stream.replay.record import Recorder
from stream.replay.request import new_manifest
from stream.replay.results import Results, open_results
from stream.replay.source import Part

START = datetime(2026, 1, 5, tzinfo=UTC)
FEATURES = ("amount", "card_count_1d", "card_amount_over_mean", "card_seconds_since_last")


class TinyText:
    """A real, tiny linear classifier over hashed words; raises on the text that it is told to choke on."""

    labels = ("harassment", "spam")

    def __init__(self, seed: int = 0, *, choke: str = "choke") -> None:
        self._weights = np.random.default_rng(seed).normal(0, 3, (64, 2)).astype(np.float32)
        self._choke = choke

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any(self._choke in text for text in texts):
            raise RuntimeError("choked")
        logits = np.zeros((len(texts), 2), np.float32)
        for number, text in enumerate(texts):
            for word in text.split():
                logits[number] += self._weights[sum(word.encode()) % 64]
        answer: NDArray[np.float32] = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return answer


class TinyFraud:
    """A real, tiny logistic model over four features of the card's history."""

    features = FEATURES
    vector = staticmethod(vector(FEATURES, source="tiny"))

    def __init__(self, slope: float = 1.0) -> None:
        self._slope = slope

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        filled = np.nan_to_num(rows, nan=0.0)
        logits = self._slope * (filled[:, 0] / 100 + filled[:, 1] + filled[:, 2] - filled[:, 3] / 86_400 - 3)
        answer: NDArray[np.float32] = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
        return answer

    def reasons(self, row: Sequence[float]) -> tuple[Reason, ...]:
        return (Reason(code="amount", text=f"amount {row[0]:.2f}"),)


def policy(name: str = "test", **review: float) -> Policy:
    rules = {
        label: LabelRule(review=at, block=min(1.0, at + (1 - at) / 2), severity="medium") for label, at in review.items()
    }
    return Policy(name=name, labels=rules)


@dataclass(frozen=True, kw_only=True)
class TinyJudge:
    """A judge whose model is made in memory."""

    kind: Kind
    policy: Policy
    model_digest: str = "tiny"
    seed: int = 0
    mode: Any = "replay"
    floors: Mapping[str, float] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        return TinyText.labels if self.kind == "message" else ("fraud",)

    def agent(self, state: State) -> tuple[Agent, Recorder]:
        provenance = Provenance(model=self.model_digest, policy=self.policy.digest)
        recorder = Recorder(TinyText(self.seed) if self.kind == "message" else TinyFraud(1.0 + self.seed))
        scorer: Any = recorder
        if self.kind == "message":
            return ModerationAgent(scorer, self.policy, provenance, tier="tiny", mode=self.mode), recorder
        return FraudAgent(scorer, self.policy, state, provenance, tier="tiny", mode=self.mode), recorder


@dataclass(frozen=True)
class ListSource:
    """Records in memory, by part."""

    records: dict[int, list[RawRecord]]
    counted: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(
            Part(number=number, start=0, counted=min(self.counted, len(records)), end=len(records))
            for number, records in self.records.items()
        )

    def batches(self, part: Part, *, size: int, begin: int) -> Iterator[list[RawRecord]]:
        records = self.records[part.number]
        for first in range(begin, part.end, size):
            yield records[first : first + size]


def record(event: dict[str, Any] | bytes, *, partition: int = 0, offset: int = 0, topic: str = "messages") -> RawRecord:
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    return RawRecord(Position(topic, partition, offset), b"key", value, 1_800_000_000_000 + offset)


def message(number: int, text: str, **more: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=number)
    return {"id": f"m{number}", "occurred_at": at.isoformat(), "user_id": f"u{number % 7}", "text": text, **more}


def transaction(number: int, amount_minor: int, *, card: int = 0, **more: Any) -> dict[str, Any]:
    at = START + timedelta(minutes=13 * number)
    return {
        "id": f"t{number}", "occurred_at": at.isoformat(), "account_id": f"a{card}", "card_id": f"c{card}",
        "amount_minor": amount_minor, "currency": "EUR", **more,
    }


def essence(flag: Flag) -> dict[str, Any]:
    """All of a flag but what depends on the clock and on the mode."""
    return flag.model_dump(exclude={"flagged_at", "timing", "mode"})


def flags_of(path: Path) -> list[Flag]:
    return [Flag.model_validate_json(line) for line in path.read_bytes().splitlines()]


def run_all(source: ListSource, judge: TinyJudge, folder: Path, *, against: TinyJudge | None = None) -> Results:
    """A whole replay in this process."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = new_manifest(
        identity="test", kind=judge.kind, topic="messages" if judge.kind == "message" else "transactions", parts=source.parts, gaps=(),
        labels=judge.labels, against_labels=against.labels if against else (), model=judge.model_digest, policy=judge.policy.digest,
        clock=lambda: START,
    )
    manifest.save(folder)
    worker = Worker(Job(source=source, kind=judge.kind, judge=judge, against=against, folder=folder, at=START))
    for part in source.parts:
        assert worker.replay(part, progress=lambda _: None, stopped=lambda: False)
    return open_results(folder)


class Kit:
    """What the tests of this folder share."""

    START = START
    TinyJudge = TinyJudge
    ListSource = ListSource
    policy = staticmethod(policy)
    record = staticmethod(record)
    message = staticmethod(message)
    transaction = staticmethod(transaction)
    essence = staticmethod(essence)
    flags_of = staticmethod(flags_of)
    run_all = staticmethod(run_all)
    replace = staticmethod(replace)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """A new folder at every call, also within one test."""
    made = iter(range(1_000_000))
    return lambda: tmp_path / f"run-{next(made)}"
