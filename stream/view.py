"""The demo's live view: flags as they come, rates and latencies, in 80 columns."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.flag import Flag
from stream.watch import Watch

COLOURS = {"block": "bold red", "review": "yellow", "allow": "green"}
ROWS = 14


def row(flag: Flag) -> tuple[Text, ...]:
    """A flag as cells: time, entity, label, score, decision, reason."""
    label = flag.labels[0]
    reason = flag.reasons[0].text if flag.reasons else ""
    return (
        Text(flag.flagged_at.astimezone().strftime("%H:%M:%S"), style="dim"),
        Text(flag.entity[-10:]),
        Text(label.name, style="cyan"),
        Text(f"{label.score:.2f}"),
        Text(flag.decision, style=COLOURS.get(flag.decision, "")),
        Text(reason, style="dim"),
    )


def render(watch: Watch, *, elapsed_s: float, title: str) -> RenderableType:
    """The whole view after `elapsed_s` seconds of traffic."""
    seconds = max(elapsed_s, 1e-9)
    head = Text.assemble(
        ("flagstream demo ", "bold"), (title, "dim"), "\n",
        f"in  {watch.messages_in:>8,} messages  {watch.transactions_in:>8,} transactions  {watch.live_in / seconds:>7,.0f} events/s\n",
        f"out {watch.flags:>8,} flags     {watch.dead_letters:>8,} dead letters  ",
        f"p50 {watch.percentile(0.5) or 0:.0f} ms  p99 {watch.percentile(0.99) or 0:.0f} ms\n",
        ("    " + "  ".join(f"{name} {count}" for name, count in watch.by_label.most_common(7)), "cyan"),
    )
    head.no_wrap = True
    head.overflow = "ellipsis"
    table = Table(box=None, expand=True, width=80, pad_edge=False, header_style="bold")
    for name, width in (("time", 8), ("entity", 10), ("label", 10), ("score", 5), ("decision", 8)):
        table.add_column(name, min_width=width, max_width=width, no_wrap=True, overflow="ellipsis")
    table.add_column("reason", ratio=1, no_wrap=True, overflow="ellipsis")
    for flag in list(watch.recent)[-ROWS:]:
        table.add_row(*row(flag))
    return Group(head, Text(), table)
