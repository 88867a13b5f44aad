"""What somebody asks of a replay, and the folder in which one run keeps what it found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from schemas.labels import Kind
from stream.errors import StreamError, UsageError
from stream.replay.folder import MANIFEST
from stream.replay.prices import Prices
from stream.replay.source import Part

Showing = Literal["places", "masked", "full"]
"""How much of the examples a report tells: where they lie, what they say without whoever it is, or all of it."""
RUNS = Path(".flagstream/replay")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The words of the command line. Either `topic` or `file` is set; `folder` is where the run is kept (None: under `RUNS`)."""

    topic: str | None = None
    file: Path | None = None
    kind: Kind | None = None
    fields: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    warmup: str | None = None
    model: Path | None = None
    against: str | None = None
    examples: Showing = "places"
    verdicts: str | None = None
    prices: Prices = field(default_factory=Prices)
    flags: Path | None = None
    to: str | None = None
    report: Path | None = None
    folder: Path | None = None
    workers: str | None = None
    """The name of a run that workers judge; None: this process and its own."""
    resume: bool = False
    processes: int | None = None
    command: str = "flagstream replay"
    """What gives the same again, for the report."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    """What times ago are reckoned from."""

    @property
    def fingerprint(self) -> str:
        """Identifies the stretch of history asked for: equal requests are the same run."""
        words = [self.topic, self.file and str(self.file.resolve()), self.kind, self.fields, self.sets, self.since, self.until, self.warmup]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a run is of: a resumed one must be of the same. `parts` are fixed at its start, although a topic grows."""

    identity: str
    kind: Kind
    topic: str
    started_at: str
    labels: tuple[str, ...]
    against_labels: tuple[str, ...]
    model: str
    policy: str
    parts: tuple[Part, ...]
    gaps: tuple[str, ...]
    floors: Mapping[str, float] = field(default_factory=dict)
    """Review thresholds below which the scores say nothing, by label, where a first model cleared texts; empty where none did."""

    @property
    def at(self) -> datetime:
        """When the run began."""
        return datetime.fromisoformat(self.started_at)

    def save(self, folder: Path) -> None:
        """Write it into the run's folder."""
        fresh = folder / f"{MANIFEST}.new"
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(folder / MANIFEST)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From plain values. Raises `ValueError`, `TypeError` or `KeyError` when they are none of a manifest."""
        found = dict(values)
        found["parts"] = tuple(Part(**part) for part in found["parts"])
        for name in ("labels", "against_labels", "gaps"):
            found[name] = tuple(found[name])
        return cls(**found)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The manifest of a run. Raises `UsageError` when `folder` holds none, `StreamError` when it is damaged."""
        try:
            return cls.of(json.loads((folder / MANIFEST).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"{folder}: holds no replay") from None
        except (ValueError, TypeError, KeyError) as error:
            raise StreamError(f"{folder / MANIFEST}: damaged, or of another version; start the replay anew") from error


def new_manifest(
    *, identity: str, kind: Kind, topic: str, parts: Sequence[Part], gaps: Sequence[str], labels: tuple[str, ...],
    against_labels: tuple[str, ...], model: str, policy: str, floors: Mapping[str, float] | None = None, clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Manifest:
    """The manifest of a run that starts now."""
    return Manifest(
        identity=identity, kind=kind, topic=topic, started_at=clock().isoformat(), labels=labels, against_labels=against_labels,
        model=model, policy=policy, parts=tuple(parts), gaps=tuple(gaps), floors=dict(floors or {}),
    )
