"""The two sides of a comparison: what the candidate decides, and what it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from schemas.policy import Policy
from stream.errors import UsageError
from stream.replay.decisions import Decided, decide_all
from stream.replay.published import NAMES, Published
from stream.replay.results import Chunk

FLAGS = "flags"
"""The word after --against for the flags that were published."""
PUBLISHED = "published flags"


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Decides on chunks of a run. `labels` names the columns of its `Decided.labels`."""

    name: str
    labels: tuple[str, ...]
    decide: Callable[[Chunk], Decided]
    notes: tuple[str, ...] = ()
    """What is missing of it, in words."""


def by_policy(policy: Policy, labels: tuple[str, ...], *, name: str | None = None) -> Side:
    """The scores of the run under `policy`."""
    named = name or f"policy {policy.name} ({policy.digest})"
    return Side(name=named, labels=labels, decide=lambda chunk: decide_all(chunk.rows["scores"], labels, policy))


def by_other_model(policy: Policy, labels: tuple[str, ...], *, name: str) -> Side:
    """The scores of the second model of the run under `policy`."""
    return Side(name=name, labels=labels, decide=lambda chunk: decide_all(chunk.rows["against"], labels, policy))


def by_flags(published: Published, *, gone: tuple[str, ...] = ()) -> Side:
    """What was published; `gone` says what of it is no longer kept."""
    return Side(name=PUBLISHED, notes=gone, labels=NAMES, decide=lambda chunk: published.decided(chunk.part, chunk.rows))


def aligned(side: Side, decided: Decided, names: tuple[str, ...]) -> Decided:
    """`decided` with its label columns put in the order of `names`."""
    absent = np.zeros(len(decided.decision), np.bool_)
    columns = [decided.labels[:, side.labels.index(name)] if name in side.labels else absent for name in names]
    return Decided(decided.decision, np.stack(columns, axis=1) if columns else np.zeros((len(decided.decision), 0), np.bool_))


def what(against: str) -> str:
    """Whether the words after --against name "flags", a "model" (a folder) or a "policy" (a file). Raises `UsageError`."""
    if against == FLAGS:
        return FLAGS
    path = Path(against)
    if path.is_dir():
        return "model"
    if path.is_file():
        return "policy"
    raise UsageError(f"--against {against!r}: neither a policy file nor the folder of a model, nor the word {FLAGS!r}")
