"""From a bundle and verdicts to a bundle whose heads fit them, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import first
from models.bundle import Bundle
from models.card import Card, Output, TunedLabel, Tuning
from models.metrics import threshold_at
from models.text import TextClassifier
from models.tuning.attempt import Attempt, attempts, put, threshold_of
from models.tuning.blas import one_thread
from models.tuning.encoder import Show, graph_with, heads_of
from models.tuning.errors import NotBetter, TuningError
from models.tuning.gate import Sentence, faults, figures, kept
from models.tuning.verdicts import Verdicts
from models.tuning.write import write

NEEDED = 20
"""Verdicts of each outcome without which a label is left as it is."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """A bundle that was written, and what its card says of the tuning."""

    folder: Path
    digest: str
    tuning: Tuning


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
    counted = {label: _sides(verdicts, label) for label in dict.fromkeys(example.label for example in verdicts.examples)}
    enough = [label for label, sides in counted.items() if min(sides) >= NEEDED]
    if not enough:
        raise TuningError(_too_few(verdicts, counted))
    if out.exists():
        raise TuningError(f"{out}: is there already; name another folder")
    heads = heads_of(bundle)
    with one_thread():
        changed = attempts(
            bundle, verdicts, enough, heads, thresholds=thresholds, sentences=sentences, prevalence=prevalence, threads=threads, show=show
        )
    if not changed:
        raise NotBetter(f"the verdicts ask for no change, nothing was written: {', '.join(enough)} as good as they can be made")

    outputs, changed_heads = put(bundle, heads, changed)
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
    outputs, heads = put(bundle, heads, passed)
    written = write(_card(bundle.card, outputs, tuning), bundle, graph_with(bundle, heads), out)
    return Tuned(out, written.digest, tuning)


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
    one: Attempt, before: _Scores, after: _Scores, thresholds: Mapping[str, float], sentences: Sequence[Sentence]
) -> TunedLabel:
    """What the card says of a label; its change is "none" where something speaks against it."""
    threshold = threshold_of(one.label, thresholds)
    truth, counts = one.truth[one.held], one.counts[one.held]
    then, now = (scores.of(one.label, one.asked) for scores in (before, after))
    texts = [sentence.text for sentence in sentences if sentence.label == one.label]
    old, fresh = (dict(zip(texts, scores.of(one.label, texts).tolist(), strict=True)) for scores in (before, after))
    held = kept(one.label, sentences, old, fresh, threshold)
    same = threshold
    if one.column is not None:
        same = min(threshold_at(now[~truth], float((then[~truth] >= threshold).mean())), 1.0)
    against = (*faults(one.label, truth, None if one.column is None else then, now, counts), *held.faults)
    note = "; ".join(against) or ("" if one.label in thresholds else "the policy in force has no rule for it, so that nothing is flagged for it")
    return TunedLabel(
        label=one.label,
        confirmed=int(one.truth.sum()),
        overturned=int((~one.truth).sum()),
        change="none" if against else one.fitted.change,
        strength=one.fitted.strength,
        held_out=len(truth),
        before=None if one.column is None else figures(truth, then, counts, threshold),
        after=figures(truth, now, counts, same),
        review_before=None if one.column is None else threshold,
        review_after=round(same, 4),
        sentences=held.sentences,
        right_before=held.right_before,
        right_after=held.right_after,
        note=note,
    )


def _card(card: Card, outputs: tuple[Output, ...], tuning: Tuning) -> Card:
    """The card of the tuned bundle, which has no first model; figures that were measured before are kept for the labels that did not change."""
    changed = {one.label for one in tuning.labels if one.change != "none"}
    # A first model knows what the heads before said; one for these would have to be fitted anew.
    files = {name: digest for name, digest in card.files.items() if name != first.FILE}
    parameters = {name: value for name, value in card.parameters.items() if name != first.PARAMETER}
    return card.model_copy(
        update={
            "outputs": outputs,
            "files": files,
            "parameters": parameters,
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
