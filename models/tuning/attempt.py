"""For each label with enough verdicts: what to hold out, and which of the changes that the others support to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.calibration import Calibrator
from models.card import Calibration, Output
from models.tuning.encoder import Heads, Show, Vectors, vectors
from models.tuning.fit import Fitted, Task, candidates, counts_for, dealt
from models.tuning.gate import Sentence, kept
from models.tuning.verdicts import Verdicts

HELD_OUT = 4
"""One verdict in so many, of each outcome, is kept for the gate."""
NO_RULE = 0.5
"""The threshold of a label without a rule in the policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A label, the texts of its verdicts and whether it holds, which of them are held out, how much each counts, and what was fitted to
    the others; `column` is the label's output, None where the model has none."""

    label: str
    column: int | None
    texts: tuple[str, ...]
    truth: NDArray[np.bool_]
    held: NDArray[np.bool_]
    counts: NDArray[np.float64]
    fitted: Fitted

    @property
    def asked(self) -> list[str]:
        """The held-out texts."""
        return [text for text, held in zip(self.texts, self.held, strict=True) if held]


def threshold_of(label: str, thresholds: Mapping[str, float]) -> float:
    """The probability from which a label is flagged."""
    return thresholds.get(label, NO_RULE)


def attempts(
    bundle: Bundle,
    verdicts: Verdicts,
    labels: Sequence[str],
    heads: Heads,
    *,
    thresholds: Mapping[str, float],
    sentences: Sequence[Sentence],
    prevalence: float | None,
    threads: int,
    show: Show,
) -> list[Attempt]:
    """The changes to try, for those of `labels` whose verdicts ask for one. Of the changes that they support the best is taken with
    which the regression sentences stay on their sides; where there is none, the best."""
    texts = list(dict.fromkeys([*(one.text for one in verdicts.examples if one.label in labels), *(one.text for one in sentences)]))
    place = {text: at for at, text in enumerate(texts)}
    read = vectors(bundle, texts, threads=threads, show=show)
    columns = {output.label: column for column, output in enumerate(bundle.card.outputs)}
    found = []
    for label in labels:
        examples = verdicts.of(label)
        truth = np.array([one.holds for one in examples], np.bool_)
        held, counts = dealt(truth, every=HELD_OUT), counts_for(truth, prevalence)
        column = columns.get(label)
        start = _Start.of(bundle, heads, column)
        pooled = start.pooled(read, [place[one.text] for one in examples])[~held]
        # The label's own sentences are for the gate; those of other labels are texts on which nothing should change.
        others = [] if column is None else [place[one.text] for one in sentences if one.label != label]
        task = Task(
            pooled=pooled, truth=truth[~held], counts=counts[~held], weight=start.weight, bias=start.bias, anchors=start.pooled(read, others)
        )
        options = candidates(task, start.calibration)
        if options:
            mine = [one for one in sentences if one.label == label]
            vectors_of = start.pooled(read, [place[one.text] for one in mine])
            chosen = _safest(options, start, label, mine, vectors_of, threshold_of(label, thresholds))
            texts_of = tuple(one.text for one in examples)
            found.append(Attempt(label=label, column=column, texts=texts_of, truth=truth, held=held, counts=counts, fitted=chosen))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """The head that a label has, or nothing where it has none."""

    weight: NDArray[np.float64]
    bias: float
    calibration: Calibration | None

    @classmethod
    def of(cls, bundle: Bundle, heads: Heads, column: int | None) -> _Start:
        if column is None:
            return cls(weight=np.zeros(heads.weight.shape[0]), bias=0.0, calibration=None)
        calibration = bundle.card.outputs[column].calibration
        return cls(weight=heads.weight[:, column].astype(np.float64), bias=float(heads.bias[column]), calibration=calibration)

    def pooled(self, read: Vectors, places: Sequence[int]) -> NDArray[np.float64]:
        """Of each text at `places` the vector of the window on which the head is largest, [texts, width]."""
        windows = read.telling(self.weight, self.bias)[list(places)]
        return read.pooled[windows].astype(np.float64)


def _safest(
    options: Sequence[Fitted], start: _Start, label: str, sentences: Sequence[Sentence], pooled: NDArray[np.float64], threshold: float
) -> Fitted:
    def scores(weight: NDArray[np.float64], bias: float, calibration: Calibration | None) -> dict[str, float]:
        if calibration is None:
            return dict.fromkeys((one.text for one in sentences), 0.0)
        logits = (pooled @ weight + bias).astype(np.float32)
        probabilities = Calibrator.of((calibration,)).apply(logits[:, None])[:, 0]
        return dict(zip((one.text for one in sentences), probabilities.tolist(), strict=True))

    before = scores(start.weight, start.bias, start.calibration)
    for option in options:
        after = scores(option.weight, option.bias, option.calibration)
        if not kept(label, sentences, before, after, threshold).faults:
            return option
    return options[0]


def put(bundle: Bundle, heads: Heads, made: Sequence[Attempt]) -> tuple[tuple[Output, ...], Heads]:
    """The outputs and heads of the bundle with what was fitted."""
    outputs = list(bundle.card.outputs)
    for one in made:
        column = len(outputs) if one.column is None else one.column
        outputs[column : column + 1] = [Output(label=one.label, calibration=one.fitted.calibration)]
        if one.fitted.change != "calibration":
            heads = heads.with_head(column, one.fitted.weight, one.fitted.bias)
    return tuple(outputs), heads
