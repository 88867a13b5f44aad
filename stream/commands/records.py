"""Records in and out: files into topics, topics into the terminal, scores without Kafka."""

from __future__ import annotations

import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.labels import KINDS, SEVERITIES
from stream.commands.options import Broker, Json, Models, PolicyFile, Prefix, one_of, say, settings_for
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.score import Line

Maps = Annotated[list[str] | None, typer.Option("--map", help="field=column of the file; may be repeated.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", help="field=value for every record; may be repeated.", show_default=False)]


def send(
    topic: Annotated[str, typer.Argument(help="messages, transactions, verdicts …")],
    file: Annotated[Path, typer.Argument(help="JSON Lines, CSV or Parquet; - reads lines from standard input.")],
    rate: Annotated[float | None, typer.Option(help="Records a second; else as fast as it goes.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option(help="Field that keys the records.", show_default=False)] = None,
    fields: Maps = None,
    constants: Sets = None,
    raw: Annotated[bool, typer.Option("--raw", help="Send rows that fit no contract as they are.")] = False,
    limit: Annotated[int | None, typer.Option(help="End after so many rows.", min=1, show_default=False)] = None,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send the rows of a file to a topic, and wait until the broker has all of them."""
    from rich.console import Console

    from stream.send import Sent
    from stream.send import send as run

    resolved = settings_for(broker=broker, prefix=prefix)
    with Console(stderr=True).status("sending …") as status:

        def progress(done: Sent) -> None:
            status.update(f"{done.sent:,} sent, {done.rejected:,} left out")

        done = asyncio.run(
            run(
                resolved, topic, file, rate=rate, key=key, maps=fields or [], constants=constants or [], raw=raw, limit=limit,
                on_progress=progress,
            )
        )
    if as_json:
        say({"sent": done.sent, "raw": done.raw, "rejected": done.rejected, "seconds": done.seconds, "faults": done.faults})
    else:
        typer.echo(f"{done.sent:,} sent in {done.seconds:.1f} s, {done.rejected:,} left out")
    for fault in done.faults:
        typer.echo(f"flagstream: {fault}", err=True)
    if done.exit_code:
        raise typer.Exit(done.exit_code)


def tail(
    topic: Annotated[str, typer.Argument(help="flags, dead-letters, messages …")] = "flags",
    label: Annotated[list[str] | None, typer.Option(help="Only flags with this label.", show_default=False)] = None,
    decision: Annotated[list[str] | None, typer.Option(help="Only flags with this decision.", show_default=False)] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only flags of this kind: message or transaction.", show_default=False)] = None,
    min_severity: Annotated[str | None, typer.Option(help="Only flags with a label this severe or more.", show_default=False)] = None,
    min_score: Annotated[float | None, typer.Option(help="Only flags with a label this probable or more.", show_default=False)] = None,
    entity: Annotated[list[str] | None, typer.Option(help="Only flags of this user, card or account.", show_default=False)] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Only flags of this tenant.", show_default=False)] = None,
    since: Annotated[str | None, typer.Option(help="From this time on, or from so long ago (10m, 2h, 1d).", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option("--max", help="End after so many.", show_default=False)] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more; else end with what is there.")] = True,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON document a line.")] = False,
) -> None:
    """Show records as they come: an alert consumer in the terminal.

    Options that choose flags may be repeated where several words make sense; one label must satisfy all that is said of labels."""
    from stream.subscribe.filters import Filter
    from stream.tail import tail as run

    wanted = Filter.of(
        labels=label or None, decisions=decision or None, kinds=kind or None, entities=entity or None, tenants=tenant or None,
        min_severity=None if min_severity is None else one_of("--min-severity", min_severity, SEVERITIES), min_score=min_score,
    )  # fmt: skip
    run(settings_for(broker=broker, prefix=prefix), topic, wanted=wanted, since=since, limit=limit, as_json=as_json, follow=follow)


def score(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts to judge.", show_default=False)] = None,
    source: Annotated[Path | None, typer.Option("--input", help="File to judge: JSON Lines, CSV or Parquet.", show_default=False)] = None,
    output: Annotated[Path | None, typer.Option(help="Where to write the answers; else standard output.", show_default=False)] = None,
    kind: Annotated[str, typer.Option(help="message or transaction.")] = "message",
    verdicts: Annotated[Path | None, typer.Option(help="Verdicts (JSON Lines) that become known on the way.", show_default=False)] = None,
    fields: Maps = None,
    constants: Sets = None,
    policy: PolicyFile = None,
    models: Models = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON document a line.")] = False,
) -> None:
    """Judge texts, or the rows of a file, without Kafka."""
    from stream.score import score_file, score_texts

    resolved = settings_for(policy=policy, models=models)
    chosen = one_of("--kind", kind, KINDS)
    if (source is None) == (not texts):
        raise UsageError("give texts to judge, or --input FILE")
    if source is None:
        if chosen != "message":
            raise UsageError("--kind transaction needs --input FILE")
        for line in score_texts(resolved, texts or []):
            if as_json:
                say(line)
            else:
                _show(line)
        return
    if output is not None and output.exists() and source.exists() and output.samefile(source):
        raise UsageError(f"--output {output} is the input: it would be emptied before it is read")
    with ExitStack() as stack:
        try:
            out = sys.stdout if output is None else stack.enter_context(output.open("w"))
        except OSError as error:
            raise UsageError(f"{output}: cannot be written: {error.strerror}") from error
        done = score_file(
            resolved, source, out, kind=chosen, verdicts=verdicts, maps=fields or [],
            constants=constants or [],
        )
    rate = done.lines / max(done.seconds, 1e-9)
    summary: dict[str, Any] = {"lines": done.lines, "errors": done.errors, "seconds": done.seconds, "per_second": round(rate, 1)}
    if output is not None and as_json:
        say(summary)
    else:
        typer.echo(f"{done.lines:,} judged in {done.seconds:.1f} s ({rate:,.0f}/s), {done.errors:,} with an error", err=True)
    if done.errors and done.errors == done.lines:
        raise typer.Exit(1)


def _show(line: Line) -> None:
    if "error" in line:
        typer.echo(f"error   {line['error']}")
        return
    scores = "  ".join(f"{label} {probability:.2f}" for label, probability in sorted(line["labels"].items(), key=lambda item: -item[1]))
    typer.echo(f"{line['decision']:<7} {scores}")
