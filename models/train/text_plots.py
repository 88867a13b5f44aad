"""The plots of the model's page, as SVG files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.card import Quality
from models.charts import STYLES, Chart, Line, Row, dots, lines
from models.train.text_measure import Findings

_PEERS = {"tfidf_lr": "TF-IDF + LR", "alt_profanity_check": "alt-profanity-check", "before": "the bundle before"}


def plots(quality: Sequence[Quality], findings: Findings) -> Mapping[str, Chart]:
    """Charts by the name of their file."""
    peers = [name for name in _PEERS if any(name in one.baselines for one in quality)]
    rows = [
        Row(
            name=f"{one.slice.split(':')[0]}: {one.label}",
            values=[one.figures["auc"], *(one.baselines.get(name, {}).get("auc") for name in peers)],
            interval=one.intervals.get("auc"),
        )
        for one in quality
    ]
    names = ("shipped", *(_PEERS[name] for name in peers))
    charts = {"auc": dots(rows, title="AUC on test texts, with its 95 % interval", names=names, low=0.5, high=1.0)}
    charts["calibration"] = lines(
        [
            Line(name=f"{one.label} ({one.error:.3f})", points=[(mean, share) for mean, share, _ in one.bins], style=style)
            for one, style in zip(findings.reliability, STYLES.replace("c", "") + "c", strict=False)
        ]
        + [Line(name="perfect", points=[(0, 0), (1, 1)], style="c")],
        title="Calibration, with the expected error of each label",
        x_label="probability said",
        y_label="share that was true",
    )
    charts["disguises"] = dots(
        [Row(name=name, values=[lost]) for name, lost in findings.robustness.items()],
        title="AUC lost when three of ten words are disguised",
        names=("shipped",),
        low=-0.01,
        high=0.06,
    )
    families = next(iter(findings.hard_cases.values()))
    charts["hard-cases"] = dots(
        [Row(name=name, values=[found[name][0] for found in findings.hard_cases.values()]) for name in families],
        title="Share of our own unseen wordings judged rightly",
        names=tuple(findings.hard_cases),
        low=0.0,
        high=1.0,
    )
    charts["bias"] = dots(
        [Row(name=f"{one.label}: {one.identity}", values=[one.subgroup, one.bpsn, one.bnsp]) for one in findings.bias],
        title="AUC by who is spoken of",
        names=("inside the subgroup", "BPSN", "BNSP"),
        low=0.5,
        high=1.0,
    )
    return charts
