"""Whether what was fitted is better than what there is: on held-out verdicts, and on the packaged sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.calibration import expected_calibration_error
from models.card import Figures
from models.metrics import auc, average_precision, bootstrap, macro_f1
from models.tuning.errors import TuningError
from schemas.codec import describe

SENTENCES = Path(__file__).parent / "sentences.jsonl"
"""The packaged regression texts."""
SHIPS_FROM = 0.8
"""The AUC that the interval of a new head must not fall below."""
SHARE_LOST = 0.2
"""Of a label's sentences of one side, the share that tuning may move to the wrong side of the threshold: verdicts may be stricter or milder
than the texts that the threshold was chosen on."""
ORDER_LOST = 0.03
"""How much of the AUC over a label's sentences tuning may lose, which no threshold has a say in."""
_ROUNDS = 300


class Sentence(BaseModel):
    """A sentence that must be flagged for a label (`flag`), or must not (`clear`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    label: str
    expected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many sentences of a label are judged rightly, before and after, and what speaks against the tuned one."""

    sentences: int
    right_before: int
    right_after: int
    faults: tuple[str, ...]


def read_sentences(path: Path = SENTENCES) -> tuple[Sentence, ...]:
    """The sentences in a JSONL file of `text`, `label` and `expected` ("flag" or "clear"). Raises `TuningError`."""
    found = []
    try:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if line.strip():
                fields = json.loads(line)
                sides = {"flag": True, "clear": False}
                if not isinstance(fields, dict) or fields.get("expected") not in sides:
                    raise TuningError(f"{path}: line {number}: expected must be flag or clear")
                found.append(Sentence.model_validate({**fields, "expected": sides[fields["expected"]]}))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TuningError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        raise TuningError(f"{path}: line {number}: {describe(error)}") from error
    return tuple(found)


def figures(truth: NDArray[np.bool_], probabilities: NDArray[np.float32], counts: NDArray[np.float64], threshold: float) -> Figures:
    """What the probabilities are worth on held-out verdicts, with 95 % intervals; macro-F1 and recall are those at `threshold`."""
    p = np.clip(probabilities.astype(np.float64), 1e-6, 1 - 1e-6)
    losses = -np.log(np.where(truth, p, 1 - p))
    low, high = _spread(losses, counts)
    return Figures(
        values={
            "auc": auc(truth, p),
            "average_precision": average_precision(truth, p),
            "log_loss": float(counts @ losses / counts.sum()),
            "calibration_error": expected_calibration_error(p, truth, counts),
            "macro_f1": macro_f1(truth, p >= threshold),
            "recall": float((p >= threshold)[truth].mean()),
        },
        intervals={"auc": bootstrap(auc, truth, p, rounds=_ROUNDS), "log_loss": (low, high)},
    )


def faults(
    label: str,
    truth: NDArray[np.bool_],
    before: NDArray[np.float32] | None,
    after: NDArray[np.float32],
    counts: NDArray[np.float64],
) -> tuple[str, ...]:
    """What speaks against the tuned label on held-out verdicts, in words; empty when nothing does."""
    p = np.clip(after.astype(np.float64), 1e-6, 1 - 1e-6)
    if before is None:
        low, _ = bootstrap(auc, truth, p, rounds=_ROUNDS)
        return () if low >= SHIPS_FROM else (f"{label} is new and its AUC may be as low as {low:.2f}; {SHIPS_FROM:.2f} is needed",)
    q = np.clip(before.astype(np.float64), 1e-6, 1 - 1e-6)
    found = []
    growth = -np.log(np.where(truth, p, 1 - p)) + np.log(np.where(truth, q, 1 - q))
    if (mean := float(counts @ growth / counts.sum())) >= 0:
        found.append(f"{label}: log loss {mean:+.4f} on {len(truth)} held-out verdicts")
    # Ranks that fall: both scores in one array, so that a drawn example is drawn for both.
    both = np.arange(len(truth), dtype=np.float64)
    low, high = bootstrap(
        lambda drawn, at: auc(drawn, p[at.astype(np.int64)]) - auc(drawn, q[at.astype(np.int64)]), truth, both, rounds=_ROUNDS
    )
    if high < 0:
        found.append(f"{label}: AUC {low:+.3f} to {high:+.3f} on {len(truth)} held-out verdicts")
    return tuple(found)


def kept(
    label: str,
    sentences: Sequence[Sentence],
    before: Mapping[str, float],
    after: Mapping[str, float],
    threshold: float,
) -> Kept:
    """How the sentences of `label` fare at `threshold`, given the probability of each text."""
    mine = [one for one in sentences if one.label == label]
    truth = np.array([one.expected for one in mine], np.bool_)
    fall = auc(truth, np.array([before[one.text] for one in mine])) - auc(truth, np.array([after[one.text] for one in mine]))
    now = np.array([after[one.text] >= threshold for one in mine], np.bool_) == truth
    then = np.array([before[one.text] >= threshold for one in mine], np.bool_) == truth
    lost = {side: int(then[truth == side].sum()) - int(now[truth == side].sum()) for side in (True, False)}
    found = [f"{label}: AUC {-fall:+.3f} over its {len(mine)} packaged sentences"] if fall > ORDER_LOST else []
    for side, name in ((True, "no longer flagged"), (False, "flagged now")):
        if lost[side] > max(1, int(SHARE_LOST * (truth == side).sum())):
            found.append(f"{label}: {lost[side]} of {int((truth == side).sum())} packaged {'harmful' if side else 'harmless'} sentences are {name}")
    return Kept(sentences=len(mine), right_before=int(then.sum()), right_after=int(now.sum()), faults=tuple(found))


def _spread(values: NDArray[np.float64], counts: NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Interval of the weighted mean (percentile bootstrap)."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(values), (_ROUNDS, len(values)))
    means = (values * counts)[drawn].sum(1) / counts[drawn].sum(1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))
