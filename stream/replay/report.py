"""The report: one HTML file that needs nothing else, with an answer at its top."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from models.charts import Chart, Line, bars, lines
from schemas.labels import BY_NAME as LABELS
from stream.errors import UsageError
from stream.replay.advice import Advice, Answer, advise
from stream.replay.compare import COLUMNS, Diff, day_name
from stream.replay.quality import Interval, Quality
from stream.replay.results import Results
from stream.replay.roi import pays
from stream.replay.summary import Summary

SEGMENTS = {"tenant": "Tenant", "channel": "Channel", "language": "Language", "band": "Amount", "account": "Account"}


def write_report(path: Path, summary: Summary) -> None:
    """Write the report of a replay to `path`. Raises `UsageError` when it cannot be written."""
    try:
        path.write_text(render(summary), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error


def render(summary: Summary) -> str:
    """The report of a replay as HTML."""
    advice, diff = advise(summary), summary.diff
    environment = Environment(loader=PackageLoader("stream.replay", "."), autoescape=select_autoescape(default=True), trim_blocks=True)
    environment.filters["moment"] = _moment
    document: str = environment.get_template("report.html").render(
        advice=advice, headline=_headline(advice), marks=_MARKS, summary=summary, counts=summary.to_json(), manifest=summary.results.manifest, policy=summary.policy,
        diff=diff, columns=COLUMNS, segments=_segment_names(summary), evaluation=summary.evaluation, returned=summary.returned,
        pays=pays(summary.returned), labels=LABELS, words=_WORDS, shown=summary.shown, span=_span(summary.results),
        charts=[Markup(chart.figure()) for chart in _charts(summary)],  # noqa: S704 (our own SVG, its texts escaped)
        review_chart=Markup(_reviews(diff).figure()) if diff is not None and len(diff.reviews) > 1 else None,  # noqa: S704 (the same)
        **_tiles(summary),
    )
    return document


_MARKS: dict[Answer, str] = {"yes": "good", "no": "bad", "depends": "open", "unknown": "open", "not asked": "open"}
_WORDS: dict[Answer, str] = {
    "yes": "Yes", "no": "No", "depends": "It depends", "unknown": "Nobody can say yet", "not asked": "Compare it first",
}
BEST = 2
"""Labels whose quality stands at the top: those with the most true events."""


def _headline(advice: Advice) -> str:
    """The sentence without the word that stands above it."""
    word = _WORDS[advice.answer]
    rest = advice.headline.removeprefix(word).lstrip(":, ") if advice.headline.startswith((f"{word}:", f"{word},")) else advice.headline
    return rest[0].upper() + rest[1:]


def _tiles(summary: Summary) -> dict[str, Any]:
    """The figures at the top."""
    diff, tally = summary.diff, summary.results.tally
    moved_by = None if diff is None else diff.moved

    def moved(side: str) -> str:
        return "" if moved_by is None else f"{moved_by[f'{side}_true']:,} true, {moved_by[f'{side}_false']:,} false"

    def spread(ends: Interval) -> str:
        return "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"

    qualities = summary.evaluation.qualities if summary.evaluation is not None else ()
    reviews = ("", "")
    if diff is not None:
        before, after = diff.reviews_a_day()
        reviews = (f"{before:,.1f}", f"{after:,.1f}")
    return {
        "moved": moved, "spread": spread, "reviews": reviews, "share": f"{tally.flags / max(1, tally.events):.2%} of the events",
        "best": sorted((one for one in qualities if one.positives), key=lambda one: -one.positives)[:BEST],
    }


def _span(results: Results) -> str:
    """From the first event to the last."""
    span = results.span()
    return f"{_moment(span[0])[:16]} to {_moment(span[1])[:16]} UTC" if span else "no events"


def _segment_names(summary: Summary) -> dict[str, str]:
    return SEGMENTS | ({"language": "Country"} if summary.results.manifest.kind == "transaction" else {})


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _charts(summary: Summary) -> list[Chart]:
    charts = []
    for one in summary.evaluation.qualities if summary.evaluation is not None else ():
        charts.extend(_quality(one))
    return charts


def _reviews(diff: Diff) -> Chart:
    rows: list[tuple[str, float, float | None]] = []
    for day, (before, after) in diff.reviews.items():
        rows.append((day_name(day)[5:], float(before), float(after)))
    return bars(rows, title="Events for review by day (UTC)", y_label="events", names=("before", "after"))


def _quality(one: Quality) -> list[Chart]:
    charts = []
    if one.precision_recall:
        here: list[tuple[float, float]] = []
        precision, recall = one.figures["precision"], one.figures["recall"]
        if precision is not None and recall is not None:
            here = [(recall, precision)]
        charts.append(lines(
            [Line(name=one.label, points=one.precision_recall), Line(name="at the threshold", points=here, style="b", dots=True)],
            title=f"{one.label}: precision against recall", x_label="recall", y_label="precision",
        ))
    if one.roc:
        charts.append(lines(
            [Line(name=one.label, points=[(0.0, 0.0), *one.roc, (1.0, 1.0)]), Line(name="chance", points=[(0, 0), (1, 1)], style="c")],
            title=f"{one.label}: ROC", x_label="false positive rate", y_label="true positive rate",
        ))
    points: list[Any] = [(mean, share) for mean, share, _ in one.calibration]
    if len(points) > 1:
        charts.append(lines(
            [Line(name=one.label, points=points, dots=True), Line(name="perfect", points=[(0, 0), (1, 1)], style="c")],
            title=f"{one.label}: calibration", x_label="probability said", y_label="share that was true",
        ))
    return charts
