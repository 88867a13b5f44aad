"""Everything that the card and the page say of a text bundle, measured in one go."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from models.bundle import Bundle
from models.card import Quality, Withheld
from models.text import TextClassifier
from models.train import text_baseline
from models.train.text_bias import Bias, bias
from models.train.text_bundle import CardParts
from models.train.text_data import TextTable
from models.train.text_evaluate import Peer, classifier, evaluate, graded, hard_cases, quantisation, robustness
from models.train.text_gate import float32_bundle
from models.train.text_reliability import Reliability, reliability
from models.train.text_thresholds import default_thresholds

log = logging.getLogger(__name__)
_WORDS = Path(__file__).parent / "moderation.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is said in words: limits, remarks, how the shipped weights came about, labels that are not shipped, and what is known of other nets."""

    limits: tuple[str, ...]
    remarks: tuple[str, ...]
    made: str
    withheld: tuple[Withheld, ...]
    pareto: tuple[Mapping[str, Any], ...]

    @classmethod
    def read(cls) -> Words:
        """The words of `moderation.toml`."""
        table = tomllib.loads(_WORDS.read_text("utf-8"))
        return cls(
            limits=tuple(table["limits"]),
            remarks=tuple(table["remarks"]),
            made=str(table["made"]).strip(),
            withheld=tuple(Withheld(**one) for one in table["withheld"]),
            pareto=tuple(table["pareto"]),
        )

    def parts(self) -> CardParts:
        """What of it goes into a new card."""
        return CardParts(withheld=self.withheld, limits=self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was measured beside the card: AUC lost to each disguise, the share judged rightly per family of templates (for each model
    compared, with the number of wordings), AUC of float32 minus int8 per slice, reliability, bias, (review, block) thresholds per
    label, and the rank correlation with graded offensiveness."""

    robustness: Mapping[str, float]
    hard_cases: Mapping[str, Mapping[str, tuple[float, int]]]
    float32_minus_int8: Mapping[str, float]
    reliability: tuple[Reliability, ...]
    bias: tuple[Bias, ...]
    thresholds: Mapping[str, tuple[float, float]]
    graded: float
    limit: int


def peers(table: TextTable, labels: tuple[str, ...]) -> dict[str, Peer]:
    """The standing baselines by name: TF-IDF with logistic regression, and alt-profanity-check where it is installed."""
    found = {"tfidf_lr": text_baseline.fit(table, labels)}
    check = text_baseline.profanity_check()
    return found | ({"alt_profanity_check": check} if check else {})


def measure(
    bundle: Path, data: Path, table: TextTable, *, float32: Path | None = None, against: Path | None = None, limit: int = 2000
) -> tuple[tuple[Quality, ...], Findings]:
    """The quality of every slice and the findings of `bundle`, at most `limit` texts a slice; beside the standing baselines, the
    bundle `against`, and the float32 graph of the same form where there is one."""
    opened = Bundle.open(bundle)
    others = peers(table, tuple(output.label for output in opened.card.outputs))
    if against is not None:
        others["before"] = classifier(Bundle.open(against))
    quality = evaluate(bundle, data, peers=others, limit=limit)
    lost: dict[str, float] = {}
    if float32 is not None:
        with TemporaryDirectory() as folder:
            lost = quantisation(bundle, float32_bundle(bundle, float32, Path(folder)), data, limit=min(limit or 500, 500))
    log.info("text.measure slices=%d", len(quality))
    thresholds = default_thresholds(bundle, table)
    review = {label: lines[0] for label, lines in thresholds.items()}
    hard = {"shipped": hard_cases(bundle, review)}
    if against is not None:
        before = default_thresholds(against, table)
        hard["before"] = hard_cases(against, {label: lines[0] for label, lines in before.items()})
    log.info("text.measure hard cases")
    findings = Findings(
        robustness=robustness(bundle, data, limit=min(limit or 500, 500)),
        hard_cases=hard,
        float32_minus_int8=lost,
        reliability=reliability(TextClassifier.load(opened), table),
        bias=bias(classifier(opened), data, limit=limit),
        thresholds=thresholds,
        graded=graded(bundle, data, limit=min(limit or 2000, 2000)),
        limit=limit,
    )
    return quality, findings
