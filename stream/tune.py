"""`flagstream tune`: the text model's heads fitted to a user's verdicts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.card import Figures, TunedLabel
from models.errors import ModelError
from models.tuning.encoder import Show
from models.tuning.errors import NotBetter
from models.tuning.gate import SENTENCES, read_sentences
from models.tuning.tune import Tuned, tune
from models.tuning.verdicts import gather
from stream import load
from stream.errors import StreamError, UsageError
from stream.rows import read
from stream.settings import Settings

_CHANGES = {"none": "left as it was", "calibration": "calibrated anew", "head": "a new head", "new head": "a head for a new label"}


def tune_text(
    settings: Settings,
    labels: Path,
    out: Path,
    *,
    prevalence: float | None = None,
    sentences: Path | None = None,
    show: Show = lambda _done, _all: None,
) -> Tuned:
    """Tune the text model in force on the verdicts in `labels` (JSON Lines, CSV or Parquet) and write its bundle to `out`. Raises
    `UsageError` when the file cannot be used, and `StreamError` when nothing that was fitted is better than the model in force."""
    bundle = load.load_bundle(settings, "message")
    thresholds = {label: rule.review for label, rule in load.load_policy(settings).labels.items()}
    try:
        verdicts = gather((row.number, row.fields) for row in read(labels))
        return tune(
            bundle, verdicts, out, thresholds=thresholds, sentences=read_sentences(sentences or SENTENCES), prevalence=prevalence,
            created=f"{datetime.now(UTC):%Y-%m-%d}", threads=len(os.sched_getaffinity(0)), show=show,
        )
    except NotBetter as error:
        raise StreamError(f"{labels}: {error}") from error
    except ModelError as error:
        raise UsageError(f"{labels}: {error}") from error


def to_json(tuned: Tuned) -> dict[str, Any]:
    """What was written and why, as plain values."""
    return {"bundle": str(tuned.folder), "digest": tuned.digest, **tuned.tuning.model_dump(mode="json")}


def lines(tuned: Tuned) -> Iterator[str]:
    """What happened, for people."""
    tuning = tuned.tuning
    left_out = ", ".join(f"{count} {reason}" for reason, count in tuning.skipped.items())
    yield f"{tuning.lines} lines, {tuning.examples} verdicts" + (f"; left out: {left_out}" if left_out else "")
    for one in tuning.labels:
        yield f"{one.label}: {_CHANGES[one.change]}; {one.confirmed} confirmed, {one.overturned} overturned, {one.held_out} of them held out"
        if one.note:
            yield f"  {one.note}"
        if one.after is not None:
            yield from (f"  {line}" for line in _figures(one, one.after))
    yield f"{tuned.folder}: model {tuned.digest}, tuned from {tuning.origin}"


def _figures(one: TunedLabel, after: Figures) -> Iterator[str]:
    for name, title in (("auc", "AUC"), ("log_loss", "log loss"), ("calibration_error", "calibration error")):
        yield f"{title} " + " → ".join(_figure(figures, name) for figures in (one.before, after) if figures is not None)
    if one.before is not None:
        yield (
            f"with review = {one.review_after:.2f} as many overturned ones flagged as before with {one.review_before:.2f}: "
            f"recall {one.before.values['recall']:.3f} → {after.values['recall']:.3f}"
        )
    if one.sentences:
        yield f"regression sentences judged rightly: {one.right_before} → {one.right_after} of {one.sentences}"


def _figure(figures: Figures, name: str) -> str:
    interval = figures.intervals.get(name)
    return f"{figures.values[name]:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
