"""Training and evaluation, behind the extra `train`."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Json, Models, say, settings_for
from stream.errors import UsageError

train_app = typer.Typer(no_args_is_help=True, help="Train a model anew (extra `train`).")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a model beside its baselines (extra `train`).")

Data = Annotated[Path, typer.Option("--data", help="Folder of data sets (text), or a table (fraud).")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write the bundle to.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with other choices than the defaults.", show_default=False)]


def _prepare(data: Path) -> None:
    """Progress to standard error. Raises `UsageError` when the extra or the data are missing."""
    settings_for()
    for name in ("models", "text", "fraud"):
        logging.getLogger(name).setLevel(logging.INFO)
    missing = [name for name in ("torch", "pandas", "lightgbm", "onnx", "sklearn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{missing[0]} is missing: pip install --constraint requirements.lock --editable '.[train]'")
    if not data.exists():
        raise UsageError(f"{data}: no data there")


@train_app.command("text")
def train_text(
    data: Data,
    out: Out,
    config: Config = None,
    labels: Annotated[str, typer.Option(help="Labels to ship, separated by commas.")] = "harassment,hate,threat,sexual,self_harm,spam,profanity",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
) -> None:
    """Fine-tune the text model, quantize and calibrate it, and write its bundle; the run itself is kept in OUT/run."""
    _prepare(data)
    from models.train import text, text_bundle, text_data
    from models.train.text_config import TextConfig
    from models.train.text_sources import HEADS

    wanted = [label.strip() for label in labels.split(",") if label.strip()]
    if unknown := [label for label in wanted if label not in HEADS]:
        raise UsageError(f"--labels {unknown[0]!r}: known: {', '.join(HEADS)}")
    chosen = TextConfig.from_toml(config)
    table = text_data.load(data, chosen)
    run = out / "run"
    text.fit(table, run, chosen, resume=resume)
    text_bundle.write(run, table, out, labels=wanted, created=f"{datetime.now(UTC):%Y-%m-%d}")
    typer.echo(f"{out}: a bundle; `flagstream evaluate text --bundle {out} --data {data}` says how good it is")


@train_app.command("fraud")
def train_fraud(data: Data, out: Out, config: Config = None) -> None:
    """Train the fraud model on a table of transactions, and write its bundle."""
    _prepare(data)
    from models.train.fraud import train

    card = train(data, out, config=config)
    typer.echo(f"{out}: {card.name}, {len(card.features)} features")


@evaluate_app.command("text")
def evaluate_text(
    data: Data,
    bundle: Annotated[Path | None, typer.Option(help="Folder of the bundle; else the one in use.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="At most so many texts a slice; 0: all.", min=0)] = 0,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Measure the text model on every slice, on test parts alone, beside TF-IDF and logistic regression."""
    _prepare(data)
    from models.train import text_baseline, text_data
    from models.train.text_config import TextConfig
    from models.train.text_evaluate import evaluate
    from stream.load import load_bundle

    folder = bundle or load_bundle(settings_for(models=models), "message").folder
    table = text_data.load(data, TextConfig())
    baseline = text_baseline.fit(table, ("harassment", "hate", "threat", "sexual", "self_harm", "spam", "profanity"))
    found = evaluate(folder, data, peers={"tfidf_lr": baseline}, limit=limit)
    if as_json:
        say([quality.model_dump(mode="json") for quality in found])
        return
    for quality in found:
        own = "  ".join(f"{name} {value:.3f}" for name, value in quality.figures.items())
        peer = quality.baselines.get("tfidf_lr", {}).get("auc")
        beside = "" if peer is None else f"  (TF-IDF auc {peer:.3f})"
        typer.echo(f"{quality.slice:<28} {quality.label:<11} {quality.rows:>6} rows {quality.positives:>5} positive  {own}{beside}")


@evaluate_app.command("fraud")
def evaluate_fraud(data: Data, config: Config = None, as_json: Json = False) -> None:
    """Measure the fraud model and its baselines by the Fraud Detection Handbook's protocol, over the stated weeks."""
    _prepare(data)
    from models.train.fraud_evaluate import evaluate, markdown

    found = evaluate(data, config=config)
    if as_json:
        say([{"contender": one.contender, "week": one.week, "rows": one.rows, "positives": one.positives, **one.figures} for one in found])
    else:
        typer.echo(markdown(found))
