"""The model's page in the documentation, written from figures: nobody copies a number by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.card import Card, Quality

_READING = """A score is a calibrated probability, the same for a text alone and in any batch: all activation scales are constants.
A long text is read in at most eight windows of 128 tokens, spread over all of it, with head and tail always among them; each label
takes its largest score."""
_COLUMNS = """AUC with its 95 % interval (bootstrap), average precision, recall at a false-positive rate of 1 %, and macro-F1 with a
threshold from validation texts (of the same set, or over all sets where the set is out of source). `any` is the largest score of
the abusive labels. The baseline is TF-IDF with logistic regression on the same training cells."""
_BUDGET = """Thresholds are the calibrated probabilities that at most 1 % (review) and 0.1 % (block) of harmless natural validation
texts reach, but at least .3 and .8. The calibration error is that of a fit with two parameters on the validation texts it was fitted on."""
_HEADINGS = (
    "slice",
    "label",
    "texts (positive)",
    "AUC",
    "interval",
    "AP",
    "recall at 1 %",
    "macro-F1",
    "baseline AUC",
    "baseline AP",
    "out of source",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was measured beside the card: AUC lost to each disguise, shares judged rightly per family of templates, AUC of float32
    minus int8 per slice, calibration error and (review, block) thresholds per label, and anything in words."""

    robustness: Mapping[str, float]
    hard_cases: Mapping[str, tuple[float, int]]
    float32_minus_int8: Mapping[str, float]
    calibration_error: Mapping[str, float]
    thresholds: Mapping[str, tuple[float, float]]
    graded: float
    remarks: Sequence[str]


def page(card: Card, findings: Findings, *, size_mb: float) -> str:
    """The page in Markdown."""
    return "\n".join(
        [
            "# The moderation model",
            "",
            card.description,
            "",
            f"- Base: {card.base}. Model file: {size_mb:.1f} MB. Licence of the weights: {card.licence}.",
            f"- Outputs: {', '.join(output.label for output in card.outputs)}.",
            *(f"- Not shipped: `{label.label}`: {label.reason}" for label in card.withheld),
            "",
            _READING,
            "",
            "## Quality on test texts",
            "",
            _COLUMNS,
            "",
            "| " + " | ".join(_HEADINGS) + " |",
            "|---" * len(_HEADINGS) + "|",
            *(_row(quality) for quality in card.quality),
            "",
            f"Rank correlation with the graded offensiveness of Ruddit (not trained on): {findings.graded:.3f}.",
            "",
            "## Calibration and default thresholds",
            "",
            _BUDGET,
            "",
            "| label | expected calibration error | review | block |",
            "|---|---|---|---|",
            *(
                f"| {label} | {findings.calibration_error.get(label, float('nan')):.4f} | {review:.2f} | {block:.2f} |"
                for label, (review, block) in findings.thresholds.items()
            ),
            "",
            "## Disguised text",
            "",
            "Mean AUC lost over four sets when three of ten words are disguised:",
            "",
            "| disguise | AUC lost |",
            "|---|---|",
            *(f"| {name} | {lost:+.4f} |" for name, lost in findings.robustness.items()),
            "",
            "## Hard cases",
            "",
            "Our own sentences, of wordings never trained on, at the review threshold: share judged rightly (cleared when harmless), the mean over wordings.",
            "",
            "| family | share right | wordings |",
            "|---|---|---|",
            *(f"| {name} | {share:.2f} | {count} |" for name, (share, count) in findings.hard_cases.items()),
            "",
            "## int8 against float32",
            "",
            "AUC of the float32 graph minus that of the shipped one, on the same texts: "
            + (", ".join(f"{name} {value:+.4f}" for name, value in findings.float32_minus_int8.items()) or "not measured")
            + ".",
            "",
            "## Training data",
            "",
            "| set | licence | texts | note |",
            "|---|---|---|---|",
            *(f"| {source.name} | {source.licence} | {source.rows} | {source.note} |" for source in card.sources),
            "",
            "## Limits",
            "",
            *(f"- {limit}" for limit in card.limits),
            *(f"- {remark}" for remark in findings.remarks),
            "",
        ]
    )


def _row(quality: Quality) -> str:
    figures = quality.figures
    low, high = quality.intervals.get("auc", (float("nan"), float("nan")))
    peer = next(iter(quality.baselines.values()), {})
    cells = [
        quality.slice,
        quality.label,
        f"{quality.rows} ({quality.positives})",
        _three(figures, "auc"),
        f"{low:.3f}–{high:.3f}",
        _three(figures, "average_precision"),
        _three(figures, "recall_at_1pct"),
        _three(figures, "macro_f1"),
        _three(peer, "auc"),
        _three(peer, "average_precision"),
        "yes" if quality.note.startswith("out of source") else "no",
    ]
    return "| " + " | ".join(cells) + " |"


def _three(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.3f}" if name in figures else "–"
