"""The model's page in the documentation, written from figures: nobody copies a number by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from models.card import Card, Quality
from models.train.text_measure import Findings, Words
from models.train.text_plots import plots

_READING = """A score is a calibrated probability, the same for a text alone and in any batch: all activation scales are constants.
A long text is read in at most eight windows of 128 tokens, spread over all of it, with head and tail always among them; each label
takes its largest score."""
_COLUMNS = """AUC, average precision, recall at a false-positive rate of 1 %, each with its 95 % interval (bootstrap), and macro-F1 with a
threshold from validation texts (of the same set, or over all sets where the set is out of source). `any` is the largest score of
the abusive labels. TF-IDF with logistic regression was trained on the same cells; alt-profanity-check is as installed."""
_BUDGET = """From its review threshold on a label flags at most 1.5 % of ordinary harmless validation texts, and at most 5 % of our own harmless
ones, most of which were written to look like a harm; from its block threshold on 0.1 % of the ordinary ones. Never less than .2 and .8.
The calibration error is measured on one half of the validation texts after a fit on the other."""
_DISGUISED = "Mean AUC lost over four sets when three of ten words are disguised:"
_HARD = """Our own sentences, of wordings never trained on and written apart from those that were, at the review threshold: the share
judged rightly (cleared when harmless), the mean over wordings."""
_BIAS = """After Borkan et al. (2019), on pooled test texts that name a group: AUC inside the subgroup; BPSN, positives of the others
against negatives of the subgroup (low: harmless mentions are flagged); BNSP, positives of the subgroup against negatives of the others."""
_PARETO = """What is known of other nets. Speed is that of the net alone, relative to the shipped form; AUC is the mean over labels of the mean over
sets, on validation texts, as int8, for nets that were trained: `flagstream evaluate nets --data DIR --run RUN --run RUN`."""
_OF_NET = ("mb", 1), ("speed", 2), ("auc", 3)
_AGAIN = """`flagstream train text --data DIR --out NEW` fine-tunes, quantizes, calibrates and holds the bundle to its gate; with `--run RUN` it
makes the bundle of a finished run,
and with `--teacher RUN --teacher RUN` it also learns what these runs say of each text in the mean (`layers = [0, 1, 2, 3, 4, 5]` under `[text]` in a `--config` makes a larger one;
`feed_forward = [1024, 1024, 1536]` there narrows what training starts from, `activation = "relu"` gives it neurons that cost nothing in int8).
`sources = ["edos"]`, `heads = ["hate"]`, `folds = 3` and `left_out = 0` there train a specialist of one data set on two thirds of it; with `--specialist RUN --specialist RUN …` what three of them say of the thirds that
each has not seen takes the place of the annotators' verdicts, which a network would learn by heart. With `auxiliary = ["edos"]` they also teach an output of its own
what that set means by the head, of every text that one of them has not seen, and it is dropped at the end. `flagstream evaluate text --data DIR --bundle NEW --against OLD --page FILE` measures all of this page."""
_PEERS = {"tfidf_lr": "TF-IDF + LR", "alt_profanity_check": "alt-profanity-check", "before": "the bundle before"}


def write(file: Path, card: Card, findings: Findings, *, size_mb: float) -> None:
    """The page in Markdown at `file`, and its plots in a folder beside it, named like it."""
    folder = file.parent / file.stem
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in plots(card.quality, findings).items():
        (folder / f"{name}.svg").write_text(chart.image(), "utf-8")
    file.write_text(page(card, findings, size_mb=size_mb, plots_in=folder.name), "utf-8")


def page(card: Card, findings: Findings, *, size_mb: float, plots_in: str) -> str:
    """The page in Markdown."""
    words = Words.read()
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
            _COLUMNS + (f" At most {findings.limit} texts a slice, drawn with a fixed seed." if findings.limit else ""),
            "",
            *_quality(card.quality),
            "",
            f"![AUC on test texts]({plots_in}/auc.svg)",
            "",
            f"Rank correlation with the graded offensiveness of Ruddit (not trained on): {findings.graded:.3f}.",
            "",
            "## Calibration and default thresholds",
            "",
            _BUDGET,
            "",
            *_thresholds(findings),
            "",
            f"![Calibration]({plots_in}/calibration.svg)",
            "",
            "## Disguised text",
            "",
            _DISGUISED,
            "",
            *_table(("disguise", "AUC lost"), ((name, f"{lost:+.4f}") for name, lost in findings.robustness.items())),
            "",
            f"Mean over all: {sum(findings.robustness.values()) / max(1, len(findings.robustness)):+.4f}.",
            "",
            f"![Disguises]({plots_in}/disguises.svg)",
            "",
            "## Hard cases",
            "",
            _HARD,
            "",
            *_hard_cases(findings.hard_cases),
            "",
            f"![Hard cases]({plots_in}/hard-cases.svg)",
            "",
            "## Who is spoken of",
            "",
            _BIAS,
            "",
            *_table(
                ("label", "group", "texts (positive)", "subgroup AUC", "BPSN", "BNSP"),
                (
                    (one.label, one.identity, f"{one.texts} ({one.positives})", f"{one.subgroup:.3f}", f"{one.bpsn:.3f}", f"{one.bnsp:.3f}")
                    for one in findings.bias
                ),
            ),
            "",
            f"![Bias]({plots_in}/bias.svg)",
            "",
            "## int8 against float32",
            "",
            "AUC of the float32 graph minus that of the shipped one, on the same texts: "
            + (", ".join(f"{name} {value:+.4f}" for name, value in findings.float32_minus_int8.items()) or "not measured")
            + ".",
            "",
            "## Size and speed",
            "",
            _PARETO,
            "",
            *_table(
                ("net", "MB", "speed", "AUC", "note"),
                (
                    (one["net"], *(f"{one[name]:.{digits}f}" if name in one else "–" for name, digits in _OF_NET), one["note"])
                    for one in words.pareto
                ),
            ),
            "",
            "## Training data",
            "",
            *_table(
                ("set", "licence", "texts", "note"),
                ((source.name, source.licence, str(source.rows), source.note) for source in card.sources),
            ),
            "",
            "## Make it again",
            "",
            _AGAIN,
            "",
            words.made,
            "",
            "## Limits",
            "",
            *(f"- {line}" for line in (*card.limits, *words.remarks)),
            "",
        ]
    )


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|---" * len(headings) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _quality(quality: tuple[Quality, ...]) -> Iterator[str]:
    peers = [name for name in _PEERS if any(name in one.baselines for one in quality)]
    headings = ("slice", "label", "texts (positive)", "AUC", "AP", "recall at 1 %", "macro-F1", "out of source")
    return _table((*headings, *(f"{_PEERS[name]}: AUC, AP, macro-F1" for name in peers)), (_row(one, peers) for one in quality))


def _row(quality: Quality, peers: list[str]) -> tuple[str, ...]:
    return (
        quality.slice,
        quality.label,
        f"{quality.rows} ({quality.positives})",
        *(_with_interval(quality, name) for name in ("auc", "average_precision", "recall_at_1pct", "macro_f1")),
        "yes" if quality.note.startswith("out of source") else "no",
        *(
            ", ".join(_three(quality.baselines[name], figure) for figure in ("auc", "average_precision", "macro_f1"))
            if name in quality.baselines
            else "–"
            for name in peers
        ),
    )


def _thresholds(findings: Findings) -> Iterator[str]:
    errors = {one.label: one.error for one in findings.reliability}
    return _table(
        ("label", "expected calibration error", "review", "block"),
        (
            (label, f"{errors.get(label, float('nan')):.4f}", f"{review:.2f}", f"{block:.2f}")
            for label, (review, block) in findings.thresholds.items()
        ),
    )


def _hard_cases(found: Mapping[str, Mapping[str, tuple[float, int]]]) -> Iterator[str]:
    columns = tuple(found)
    first = found[columns[0]]
    yield from _table(
        ("family", *columns, "wordings"),
        ((name, *(f"{found[column][name][0]:.2f}" for column in columns), str(first[name][1])) for name in first),
    )
    means = (sum(share for share, _ in found[column].values()) / max(1, len(first)) for column in columns)
    yield "| mean | " + " | ".join(f"{mean:.2f}" for mean in means) + f" | {sum(count for _, count in first.values())} |"


def _with_interval(quality: Quality, name: str) -> str:
    ends = quality.intervals.get(name)
    return _three(quality.figures, name) + (f" ({ends[0]:.3f}–{ends[1]:.3f})" if ends else "")


def _three(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.3f}" if name in figures else "–"
