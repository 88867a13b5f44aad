"""From a bundle and verdicts to a bundle whose heads fit them, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.card import Card, Output, TunedLabel, Tuning
from models.metrics import threshold_at
from models.text import TextClassifier
from models.tuning.encoder import Heads, Show, graph_with, heads_of, vectors
from models.tuning.errors import NotBetter, TuningError
from models.tuning.fit import Fitted, Task, counts_for, dealt, fit
from models.tuning.gate import Sentence, faults, figures, kept
from models.tuning.verdicts import Verdicts
from models.tuning.write import write

NEEDED = 20
"""Verdicts of each outcome without which a label is left as it is."""
HELD_OUT = 4
"""One verdict in so many, of each outcome, is kept for the gate."""
NO_RULE = 0.5
"""The threshold of a label without a rule in the policy."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A bundle that was written, and what its card says of the tuning."""

    folder: Path
    digest: str
    tuning: Tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """A label with enough verdicts: its texts, which of them are held out, and what was fitted to the others."""

    label: str
    column: int
    texts: tuple[str, ...]
    truth: NDArray[np.bool_]
    held: NDArray[np.bool_]
    counts: NDArray[np.float64]
    fitted: Fitted
    new: bool

    @property
    def asked(self) -> list[str]:
        """The held-out texts."""
        return [text for text, held in zip(self.texts, self.held, strict=True) if held]


def tune(
    bundle: Bundle,
    verdicts: Verdicts,
    out: Path,
    *,
    thresholds: Mapping[str, float],
    sentences: Sequence[Sentence],
    created: str,
    prevalence: float | None = None,
    threads: int = 1,
    show: Show = lambda _done, _all: None,
) -> Tuned:
    """Fit new heads to `verdicts`, and write the bundle with those that pass the gate to `out`, which must not exist.

    `thresholds` are the probabilities from which labels are flagged; `prevalence` is the share of texts for which a label holds where
    that is another than among the verdicts. Raises `TuningError`, `NotBetter` when no label passes, and `BundleError`."""
    labels = [output.label for output in bundle.card.outputs]
    counted = {label: _sides(verdicts, label) for label in dict.fromkeys(example.label for example in verdicts.examples)}
    enough = [label for label, sides in counted.items() if min(sides) >= NEEDED]
    if not enough:
        raise TuningError(_too_few(verdicts, counted))
    if out.exists():
        raise TuningError(f"{out}: is there already; name another folder")
    heads = heads_of(bundle)
    tries = _fit_all(bundle, verdicts, enough, labels, heads, prevalence=prevalence, threads=threads, show=show)
    changed = [one for one in tries if one.fitted.change != "none"]
    if not changed:
        raise NotBetter("the verdicts ask for no change, nothing was written: " + ", ".join(f"{one.label} fits as it is" for one in tries))

    outputs, changed_heads = _put(bundle, heads, changed)
    texts = list(dict.fromkeys([*(text for one in changed for text in one.asked), *(one.text for one in sentences)]))
    before = _Scores(TextClassifier.load(bundle, threads=threads), texts)
    graph = graph_with(bundle, changed_heads)
    after = _Scores(TextClassifier.load(bundle, threads=threads, graph=graph, outputs=outputs), texts)
    judged = {one.label: _judge(one, before, after, thresholds, sentences) for one in changed}
    passed = [one for one in changed if judged[one.label].change != "none"]
    if not passed:
        raise NotBetter("no better than the current model, nothing was written: " + "; ".join(one.note for one in judged.values()))

    rows = [
        judged.get(label) or TunedLabel(label=label, confirmed=yes, overturned=no, change="none", note=_why_not(label, enough))
        for label, (yes, no) in counted.items()
    ]
    tuning = Tuning(
        created=created, origin=bundle.digest, examples=len(verdicts.examples), examples_digest=verdicts.digest, lines=verdicts.lines,
        skipped=dict(verdicts.skipped), prevalence=prevalence, labels=tuple(rows),
    )
    outputs, heads = _put(bundle, heads, passed)
    written = write(_card(bundle.card, outputs, tuning), bundle, graph_with(bundle, heads), out)
    return Tuned(out, written.digest, tuning)


def _fit_all(
    bundle: Bundle,
    verdicts: Verdicts,
    enough: Sequence[str],
    labels: Sequence[str],
    heads: Heads,
    *,
    prevalence: float | None,
    threads: int,
    show: Show,
) -> list[_Try]:
    examples = [example for example in verdicts.examples if example.label in enough]
    texts = list(dict.fromkeys(example.text for example in examples))
    place = {text: at for at, text in enumerate(texts)}
    read = vectors(bundle, texts, threads=threads, show=show)
    tries = []
    added = len(labels)
    for label in enough:
        mine = [example for example in examples if example.label == label]
        truth = np.array([example.holds for example in mine], np.bool_)
        held, counts = dealt(truth, every=HELD_OUT), counts_for(truth, prevalence)
        new = label not in labels
        column = added if new else labels.index(label)
        added += new
        own = heads.with_head(len(heads.bias), np.zeros(heads.weight.shape[0]), 0.0) if new else heads
        own_column = len(heads.bias) if new else column
        windows = read.telling(own, own_column)[[place[example.text] for example in mine]]
        task = Task(
            pooled=read.pooled[windows[~held]].astype(np.float64), truth=truth[~held], counts=counts[~held],
            weight=own.weight[:, own_column].astype(np.float64), bias=float(own.bias[own_column]),
        )
        fitted = fit(task, None if new else bundle.card.outputs[column].calibration)
        tries.append(
            _Try(
                label=label, column=column, texts=tuple(example.text for example in mine), truth=truth, held=held, counts=counts,
                fitted=fitted, new=new,
            )
        )
    return tries


def _put(bundle: Bundle, heads: Heads, tries: Sequence[_Try]) -> tuple[tuple[Output, ...], Heads]:
    """The outputs and heads of the bundle with what `tries` fitted."""
    outputs = list(bundle.card.outputs)
    for one in tries:
        made = Output(label=one.label, calibration=one.fitted.calibration)
        column = len(outputs) if one.new else one.column
        outputs[column : column + 1] = [made]
        if one.fitted.change != "calibration":
            heads = heads.with_head(column, one.fitted.weight, one.fitted.bias)
    return tuple(outputs), heads


class _Scores:
    """Probabilities of texts by label; 0 for a label that the model does not have."""

    def __init__(self, model: TextClassifier, texts: Sequence[str]) -> None:
        self._labels = model.labels
        self._rows = dict(zip(texts, model.score(texts), strict=True))

    def of(self, label: str, texts: Sequence[str]) -> NDArray[np.float32]:
        if label not in self._labels:
            return np.zeros(len(texts), np.float32)
        column = self._labels.index(label)
        return np.array([self._rows[text][column] for text in texts], np.float32)


def _judge(
    one: _Try, before: _Scores, after: _Scores, thresholds: Mapping[str, float], sentences: Sequence[Sentence]
) -> TunedLabel:
    """What the card says of a label; its change is "none" where something speaks against it."""
    threshold = thresholds.get(one.label, NO_RULE)
    truth, counts = one.truth[one.held], one.counts[one.held]
    then, now = (scores.of(one.label, one.asked) for scores in (before, after))
    texts = [sentence.text for sentence in sentences if sentence.label == one.label]
    old, fresh = (dict(zip(texts, scores.of(one.label, texts).tolist(), strict=True)) for scores in (before, after))
    held = kept(one.label, sentences, old, fresh, threshold)
    same = threshold
    if not one.new:
        same = min(threshold_at(now[~truth], float((then[~truth] >= threshold).mean())), 1.0)
    against = (*faults(one.label, truth, None if one.new else then, now, counts), *held.faults)
    note = "; ".join(against) or ("" if one.label in thresholds else "the policy in force has no rule for it, so that nothing is flagged for it")
    return TunedLabel(
        label=one.label,
        confirmed=int(one.truth.sum()),
        overturned=int((~one.truth).sum()),
        change="none" if against else one.fitted.change,
        strength=one.fitted.strength,
        held_out=len(truth),
        before=None if one.new else figures(truth, then, counts, threshold),
        after=figures(truth, now, counts, same),
        review_before=None if one.new else threshold,
        review_after=round(same, 4),
        sentences=held.sentences,
        right_before=held.right_before,
        right_after=held.right_after,
        note=note,
    )


def _card(card: Card, outputs: tuple[Output, ...], tuning: Tuning) -> Card:
    """The card of the tuned bundle; figures that were measured before are kept for the labels that did not change."""
    changed = {one.label for one in tuning.labels if one.change != "none"}
    return card.model_copy(
        update={
            "outputs": outputs,
            "created": tuning.created,
            "withheld": tuple(one for one in card.withheld if one.label not in changed),
            "quality": tuple(one for one in card.quality if one.label not in {*changed, "any"}),
            "tuning": (*card.tuning, tuning),
        }
    )


def _sides(verdicts: Verdicts, label: str) -> tuple[int, int]:
    truths = [example.holds for example in verdicts.of(label)]
    return sum(truths), len(truths) - sum(truths)


def _why_not(label: str, enough: Sequence[str]) -> str:
    return "fits as it is" if label in enough else f"fewer than {NEEDED} verdicts of each outcome"


def _too_few(verdicts: Verdicts, counted: Mapping[str, tuple[int, int]]) -> str:
    found = ", ".join(f"{label} {yes} confirmed and {no} overturned" for label, (yes, no) in counted.items()) or "none"
    left_out = ", ".join(f"{count} {reason}" for reason, count in verdicts.skipped.items())
    return f"a label needs {NEEDED} verdicts of each outcome; usable ones: {found}" + (f"; left out: {left_out}" if left_out else "")
