"""Fitting the text model to its user: new heads from verdicts, and bundles from checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Json, Models, PolicyFile, say, settings_for
from stream.errors import UsageError


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


def quantize(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a BERT classifier: config.json, weights, tokenizer.json.")],
    texts: Annotated[Path, typer.Option("--texts", help="Texts like those it will read: JSON Lines (or CSV, Parquet) with text.")],
    out: Annotated[Path, typer.Option("--out", help="New folder to write the bundle to.")] = Path("quantized"),
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", help="Our label and the checkpoint's output, as harassment=toxic; once a label.", show_default=False),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the card.")] = "not stated",
    as_json: Json = False,
) -> None:
    """Make a bundle in int8 of a BERT classifier of yours, if int8 costs it little (extra `train`)."""
    from dataclasses import asdict
    from importlib.util import find_spec

    if missing := [name for name in ("torch", "transformers", "onnx", "pandas") if find_spec(name) is None]:
        raise UsageError(f"{missing[0]} is missing: pip install --constraint requirements.lock --editable '.[train]'")
    from stream.quantize import quantize_text

    settings_for()
    losses = quantize_text(checkpoint, texts, out, maps=maps or [], licence=licence)
    if as_json:
        say({"bundle": str(out), "labels": [asdict(loss) for loss in losses]})
        return
    typer.echo("label          texts  mean difference  largest  change sides   (probabilities, int8 against the checkpoint)")
    for loss in losses:
        typer.echo(f"{loss.label:<13} {loss.texts:>6}  {loss.mean:>15.4f}  {loss.most:>7.4f}  {loss.sides:>12.2%}")
    typer.echo(f"{out}: a bundle; its probabilities are the checkpoint's own, `flagstream tune --models {out}` calibrates them")
