"""A replay in the terminal: progress while it runs, and the summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from stream.replay.advice import advise
from stream.replay.drive import Progress as Passed
from stream.replay.drive import Show
from stream.replay.fit import Fit
from stream.replay.policies import PolicyDiff
from stream.replay.roi import pays
from stream.replay.summary import Summary

COLOURS = {"yes": "green", "no": "red", "depends": "yellow", "unknown": "yellow", "not asked": "cyan"}


class _Rate(ProgressColumn):
    """Events a second."""

    def render(self, task: Task) -> Text:
        """The rate so far."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "–/s")


@contextmanager
def progress(console: Console) -> Iterator[Show]:
    """A progress bar with rate and time left on `console`, as what `replay` shows its progress with."""
    columns = (TextColumn("replay"), BarColumn(bar_width=None), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("replay", total=None)

        def show(passed: Passed) -> None:
            bar.update(task, completed=passed.done, total=passed.total)

        yield show


def panel(summary: Summary) -> RenderableType:
    """The summary of a replay."""
    advice = advise(summary)
    tally = summary.results.tally
    head = Text(advice.headline, style=f"bold {COLOURS[advice.answer]}")
    reasons = [Text(f"• {reason}", overflow="fold") for reason in advice.reasons]
    speed = "" if summary.rate is None else f" ({summary.rate:,.0f}/s)"
    counts = f"{tally.events:,} events, {tally.flags:,} flags, {tally.dead_letters:,} dead letters"
    told = Text(f"{counts} in {summary.seconds:,.1f} s{speed}", style="dim")
    parts: list[RenderableType] = [head, *reasons, told]
    if tally.by_label:
        parts.append(_labels(summary))
    if tally.decisions:
        parts.append(Text("decisions: " + ", ".join(f"{count:,} {decision}" for decision, count in tally.decisions.most_common())))
    if summary.diff is not None and summary.diff.decisions:
        parts.append(Text("changed: " + ", ".join(f"{count:,} {step}" for step, count in summary.diff.decisions.most_common())))
    if summary.evaluation is not None and summary.evaluation.qualities:
        parts.append(_quality(summary))
    returned = summary.returned
    if returned.prevented is not None and returned.missed is not None:
        parts.append(Text(f"fraud flagged: {returned.prevented:,.2f}, missed: {returned.missed:,.2f} (by the verdicts)"))
    if tally.events:
        parts.append(Text(f"reviews cost {returned.reviews_cost_a_day:,.2f} a day. {pays(returned)}", overflow="fold"))
    parts.append(Text(f"run: {summary.results.folder}", style="dim", overflow="fold"))
    return Panel(Group(*parts), title="Should I ship it?" if summary.diff else "Replay", border_style=COLOURS[advice.answer])


def _labels(summary: Summary) -> Table:
    diff = summary.diff
    table = Table("label", box=None, header_style="dim")
    for name in ("flags",) if diff is None else ("before", "after", "newly flagged", "newly cleared"):
        table.add_column(name, justify="right")
    if diff is None:
        for label, count in summary.results.tally.by_label.most_common():
            table.add_row(label, f"{count:,}")
        return table
    for label, row in diff.labels.items():
        table.add_row(label, *(f"{row[name]:,}" for name in ("before", "after", "newly_flagged", "newly_cleared")))
    return table


def _quality(summary: Summary) -> Table:
    assert summary.evaluation is not None
    table = Table("label", box=None, header_style="dim")
    for name in ("verdicts", "precision", "recall", "AUC"):
        table.add_column(name, justify="right")
    for one in summary.evaluation.qualities:
        cells = []
        for name in ("precision", "recall", "auc"):
            figure, interval = one.figures[name], one.intervals[name]
            shown = "–" if figure is None else f"{figure:.3f}"
            cells.append(shown if interval is None else f"{shown} [dim]{interval[0]:.3f}–{interval[1]:.3f}[/]")
        table.add_row(one.label, f"{one.known:,}", *cells)
    return table


def fit_table(fit: Fit) -> RenderableType:
    """The thresholds of a fitted policy and what to expect of it."""
    table = Table("label", "review from", "block from", box=None, header_style="dim")
    for label, rule in fit.policy.labels.items():
        table.add_row(label, f"{rule.review:.6f}", "never" if rule.block is None else f"{rule.block:.6f}")
    promises = [Text(f"{text}: {promise}") for text, promise in fit.promises.items()]
    queue = [Text(str(one)) for one in fit.queue]
    notes = [Text(f"note: {note}", style="yellow", overflow="fold") for note in fit.notes]
    return Panel(Group(table, *promises, *queue, *notes), title=f"policy {fit.policy.name} ({fit.policy.digest})")


def diff_table(diff: PolicyDiff) -> RenderableType:
    """What one policy changes against another."""
    table = Table("label", "field", "before", "after", box=None, header_style="dim")
    for label, fields in diff.rules.items():
        for name, (before, after) in fields.items():
            table.add_row(label, name, "–" if before is None else str(before), "–" if after is None else str(after))
    if not diff.rules:
        return Text("no rule differs")
    if diff.effect is None:
        return table
    counts = diff.effect.counts
    told = (
        f"{counts['newly_flagged']:,} newly flagged, {counts['newly_cleared']:,} newly cleared, "
        f"{counts['changed']:,} with another decision, {counts['relabelled']:,} for other labels, {counts['same']:,} the same\n"
        "reviews a day: {:,.1f} before, {:,.1f} after".format(*diff.effect.reviews_a_day())
    )
    return Group(table, Text(told))
