"""What would have been: replays, and policies fitted to them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from schemas.labels import KINDS
from stream.commands.options import Broker, Group, Json, Models, PolicyFile, Prefix, one_of, say, settings_for


def replay(
    topic: Annotated[str | None, typer.Option(help="Topic whose history is judged.", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option("--input", help="File instead: JSON Lines, CSV or Parquet.", show_default=False)] = None,
    kind: Annotated[str | None, typer.Option(help="message or transaction, where it is not plain.", show_default=False)] = None,
    fields: Annotated[list[str] | None, typer.Option("--map", help="field=column of the file.", show_default=False)] = None,
    constants: Annotated[list[str] | None, typer.Option("--set", help="field=value for every row of the file.", show_default=False)] = None,
    since: Annotated[str | None, typer.Option(help="Time, or how long ago.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(help="Time, or how long ago.", show_default=False)] = None,
    warmup: Annotated[str | None, typer.Option(help="History before --since that rebuilds the state.", show_default=False)] = None,
    policy: PolicyFile = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the bundle to judge with.", show_default=False)] = None,
    against: Annotated[str | None, typer.Option(help="A policy, a bundle, or 'flags' (those published).", show_default=False)] = None,
    examples: Annotated[str, typer.Option(help="What examples tell: places, masked (nobody's name or number), or full.")] = "places",
    verdicts: Annotated[str | None, typer.Option(help="Topic or file of verdicts.", show_default=False)] = None,
    flags: Annotated[Path | None, typer.Option(help="Write the flags to this file.", show_default=False)] = None,
    to: Annotated[str | None, typer.Option(help="Publish the flags to this topic; never a live one.", show_default=False)] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML report.", show_default=False)] = None,
    core_hour: Annotated[float, typer.Option(help="Assumed price of an hour of one core.", min=0)] = 0.04,
    review: Annotated[float, typer.Option(help="Assumed price of one review.", min=0)] = 0.50,
    call: Annotated[float, typer.Option(help="Assumed price of a call of an alternative.", min=0)] = 0.0005,
    call_ms: Annotated[float, typer.Option(help="Assumed latency of such a call, in ms.", min=0)] = 600.0,
    folder: Annotated[Path | None, typer.Option("--run", help="Folder of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    processes: Annotated[int | None, typer.Option(help="How many; else one a core.", min=1, show_default=False)] = None,
    workers: Annotated[str | None, typer.Option(help="Name of a run that `flagstream worker --replay NAME` judges.", show_default=False)] = None,
    broker: Broker = None,
    group: Group = None,
    prefix: Prefix = None,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Judge history again: what would this model or policy have done?"""
    from rich.console import Console

    from stream.replay.again import again
    from stream.replay.examples import showing
    from stream.replay.prices import Prices
    from stream.replay.request import Request
    from stream.replay.run import replay as run
    from stream.replay.terminal import panel, progress

    resolved = settings_for(broker=broker, group=group, prefix=prefix, policy=policy, models=models)
    now = datetime.now(UTC)
    request = Request(
        topic=topic, file=file, kind=None if kind is None else one_of("--kind", kind, KINDS), fields=tuple(fields or ()), sets=tuple(constants or ()), since=since, until=until,
        warmup=warmup, model=model, against=against, examples=showing(examples), verdicts=verdicts, flags=flags, to=to, report=report, folder=folder, resume=resume,
        processes=processes, workers=workers, prices=Prices(core_hour=core_hour, review=review, call=call, call_ms=call_ms), now=now,
        command=again(sys.argv[1:], resolved, now=now),
    )
    with progress(Console(stderr=True)) as show:
        summary = run(resolved, request, show=show)
    if as_json:
        say(summary.to_json())
    else:
        Console().print(panel(summary))


def fit(
    run: Annotated[Path, typer.Argument(help="Folder of a replay.")],
    budget: Annotated[list[str], typer.Option(help="'5 false positives in 10000', '200 reviews a day', 'recall 0.9 on threat' …")],
    out: Annotated[Path | None, typer.Option(help="Where to write the policy.", show_default=False)] = None,
    verdicts: Annotated[str | None, typer.Option(help="Topic or file of verdicts.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="The policy's name.")] = "fitted",
    policy: PolicyFile = None,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Choose thresholds from a budget."""
    from rich.console import Console

    from stream.replay.policies import fit_policy
    from stream.replay.terminal import fit_table

    found = fit_policy(settings_for(policy=policy, broker=broker, prefix=prefix), budget, run=run, out=out, verdicts=verdicts, name=name)
    if as_json:
        say(found.to_json())
    else:
        Console().print(fit_table(found))


def diff(
    before: Annotated[Path, typer.Argument(help="A policy file.")],
    after: Annotated[Path, typer.Argument(help="Another.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a replay, to see the effect.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Show what changes from one policy to another."""
    from rich.console import Console

    from stream.replay.policies import diff_policies, read_policy
    from stream.replay.terminal import diff_table

    found = diff_policies(read_policy(before), read_policy(after), run=run)
    if as_json:
        say(found.to_json())
    else:
        Console().print(diff_table(found))
