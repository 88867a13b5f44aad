"""Fitting the text model to its user: new heads from verdicts, and bundles from checkpoints."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Json, Models, PolicyFile, say, settings_for


def tune(
    labels: Annotated[Path, typer.Option("--labels", help="Verdicts: JSON Lines (or CSV, Parquet) with text, label, outcome (confirmed or overturned).")],
    out: Annotated[Path, typer.Option("--out", help="New folder to write the bundle to.")] = Path("tuned"),
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of texts for which a label holds, where that is another than among the verdicts.", min=1e-6, max=0.999999, show_default=False),
    ] = None,
    sentences: Annotated[
        Path | None, typer.Option(help="Your own regression sentences (text, label, expected: flag or clear) in place of the packaged ones.", show_default=False)
    ] = None,
    models: Models = None,
    policy: PolicyFile = None,
    as_json: Json = False,
) -> None:
    """Fit the text model's heads to your verdicts, and write the bundle if it is better than the one in use."""
    # Before numpy is loaded: on a busy machine threads that wait for each other make small matrices fifty times slower.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from rich.console import Console
    from rich.progress import Progress

    from stream.tune import lines, to_json, tune_text

    settings = settings_for(models=models, policy=policy)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading texts", total=None)
        tuned = tune_text(
            settings, labels, out, prevalence=prevalence, sentences=sentences,
            show=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        say(to_json(tuned))
        return
    for line in lines(tuned):
        typer.echo(line)
    typer.echo(f"Try it: flagstream replay --model {tuned.folder} …; use it: --models {tuned.folder} or FLAGSTREAM_MODELS")
