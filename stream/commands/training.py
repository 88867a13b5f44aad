"""Training and evaluation, behind the extra `train`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.bundle import Bundle
from models.errors import ModelError
from schemas.labels import MESSAGE_LABELS
from stream.commands.options import Json, Models, say, settings_for
from stream.errors import StreamError, UsageError

if TYPE_CHECKING:
    from models.card import Quality
    from models.train.text_data import TextTable

train_app = typer.Typer(no_args_is_help=True, help="Train a model anew (extra `train`).")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a model beside its baselines (extra `train`).")

Data = Annotated[Path, typer.Option("--data", help="Folder of data sets (text), or a table (fraud).")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write the bundle to.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with other choices than the defaults.", show_default=False)]
Page = Annotated[
    Path | None, typer.Option(help="Measure everything and write it to this Markdown page and the bundle's card.", show_default=False)
]
_RUN_FILES = ("weights.pt", "tokenizer.json", "kept.npy", "config.json")


@contextmanager
def _plain() -> Iterator[None]:
    """An error of the models room is one line for people."""
    from models.train.text_config import ConfigError

    try:
        yield
    except ConfigError as error:
        raise UsageError(str(error)) from error
    except ModelError as error:
        raise StreamError(str(error)) from error


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


def _finished(runs: Sequence[Path]) -> None:
    """Raises `UsageError` for the first of `runs` that is none."""
    for folder in runs:
        if lacking := [name for name in _RUN_FILES if not (folder / name).is_file()]:
            raise UsageError(f"{folder}: no finished run: {lacking[0]} is missing")


@train_app.command("text")
def train_text(
    data: Data,
    out: Out,
    config: Config = None,
    labels: Annotated[str, typer.Option(help="Labels to ship, separated by commas.")] = ",".join(MESSAGE_LABELS),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    start: Annotated[Path | None, typer.Option(help="A run, a bundle, or a BERT checkpoint of yours, whose weights and vocabulary to start from.", show_default=False)] = None,
    teacher: Annotated[list[Path] | None, typer.Option(help="A finished run, as a rule of more layers, to learn from beside the data; of several, from what they say in the mean.", show_default=False)] = None,
    specialist: Annotated[list[Path] | None, typer.Option(help="A run of some data sets alone (`sources`, `heads`, `folds` and `left_out` under [text]), to learn from what it says of their texts that it has not seen; for sets in `auxiliary`, also of all other texts.", show_default=False)] = None,
    run: Annotated[list[Path] | None, typer.Option(help="A finished run to make the bundle of, instead of training; of several, their mean.", show_default=False)] = None,
    page: Page = None,
) -> None:
    """Fine-tune the text model, quantize and calibrate it, hold it to the gate, fit a first model to it, and write its bundle; the run itself is kept in OUT/run, and what fails the gate in OUT/candidate. A run of some data sets alone is kept without a bundle."""
    _prepare(data)
    from models.train import text, text_bundle, text_cascade, text_data, text_gate
    from models.train.checkpoint import as_run, is_checkpoint
    from models.train.text_auxiliary import auxiliaries
    from models.train.text_average import average
    from models.train.text_config import TextConfig
    from models.train.text_measure import Words
    from models.train.text_sources import HEADS
    from models.train.text_specialist import Specialist
    from models.train.text_thresholds import default_thresholds
    from models.train.text_unpack import as_run as unpacked
    from models.train.text_unpack import is_bundle

    wanted = [label.strip() for label in labels.split(",") if label.strip()]
    if unknown := [label for label in wanted if label not in HEADS]:
        raise UsageError(f"--labels {unknown[0]!r}: known: {', '.join(HEADS)}")
    from_bundle = start is not None and is_bundle(start)
    from_checkpoint = start is not None and not from_bundle and is_checkpoint(start)
    runs = run or []
    _finished([folder for folder in (None if from_bundle or from_checkpoint else start, *(teacher or ()), *(specialist or ()), *runs) if folder is not None])
    with _plain():
        chosen = TextConfig.from_toml(config)
        if chosen.folds > 1 and start is not None and not from_checkpoint:
            raise UsageError("--start: a specialist starts anew, for a run may have seen what it leaves out")
        asked = [Specialist.of(folder) for folder in specialist or ()]
        if not runs:
            auxiliaries(chosen.auxiliary, asked)
        table = text_data.load(data, chosen)
        if start is not None and from_checkpoint:
            start = as_run(start, out / "start", outputs=HEADS)
        elif start is not None and from_bundle:
            start = unpacked(start, out / "start")
        source = runs[0] if len(runs) == 1 else out / "run"
        if len(runs) > 1:
            average(runs, source)
        elif not runs:
            text.fit(table, source, chosen, resume=resume, start=start, teachers=teacher or (), specialists=specialist or ())
            if chosen.sources:
                typer.echo(f"{source}: trained on {', '.join(chosen.sources)} alone, and kept without a bundle")
                return
        candidate = text_bundle.write(
            source, table, out / "candidate", labels=wanted, created=f"{datetime.now(UTC):%Y-%m-%d}", extra=Words.read().parts()
        )
        text_gate.check(candidate, candidate / text_bundle.FLOAT32, table)
        try:
            text_cascade.add(candidate, table, review={label: review for label, (review, _) in default_thresholds(candidate, table).items()})
        except ModelError as error:
            # It only saves work: the bundle is whole without one.
            typer.echo(f"no first model: {error}", err=True)
        text_bundle.adopt(candidate, out)
        if page is not None:
            _measure(out, data, table, page=page, against=None, limit=2000)
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
    against: Annotated[Path | None, typer.Option(help="Another bundle, in a column of its own.", show_default=False)] = None,
    page: Page = None,
    limit: Annotated[int, typer.Option(help="At most so many texts a slice; 0: all.", min=0)] = 2000,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Measure the text model on every slice, on test parts alone, beside its baselines; with --page, write all of it down."""
    _prepare(data)
    from models.train import text_data, text_measure
    from models.train.text_config import TextConfig
    from models.train.text_evaluate import classifier, evaluate
    from stream.load import load_bundle

    with _plain():
        opened = load_bundle(settings_for(models=models), "message") if bundle is None else Bundle.open(bundle)
        table = text_data.load(data, TextConfig())
        if page is not None:
            found = _measure(opened.folder, data, table, page=page, against=against, limit=limit)
        else:
            peers = text_measure.peers(table, tuple(output.label for output in opened.card.outputs))
            if against is not None:
                peers["before"] = classifier(Bundle.open(against))
            found = evaluate(opened.folder, data, peers=peers, limit=limit)
    if as_json:
        say([quality.model_dump(mode="json") for quality in found])
        return
    for quality in found:
        own = "  ".join(f"{name} {value:.3f}" for name, value in quality.figures.items())
        beside = ", ".join(f"{name} {figures['auc']:.3f}" for name, figures in quality.baselines.items())
        low, high = quality.intervals.get("auc", (float("nan"), float("nan")))
        typer.echo(
            f"{quality.slice:<28} {quality.label:<11} {quality.rows:>6} rows {quality.positives:>5} positive  {own}  "
            f"[{low:.3f}–{high:.3f}]{f'  (AUC of {beside})' if beside else ''}"
        )


@evaluate_app.command("nets")
def evaluate_nets(
    data: Data, run: Annotated[list[Path], typer.Option(help="A finished run; several to compare.")], as_json: Json = False
) -> None:
    """Compare finished runs of other layers and widths: size, speed and quality of each as int8, on validation texts."""
    _prepare(data)
    from models.train import text_data
    from models.train.text_config import TextConfig
    from models.train.text_nets import compare

    _finished(run)
    with _plain():
        found = compare(run, text_data.load(data, TextConfig()), labels=MESSAGE_LABELS)
    if as_json:
        say([{**asdict(net), "mean_auc": net.mean_auc} for net in found])
        return
    typer.echo(f"{'feed-forward':<20} {'MB':>5} {'texts/s':>8} {'AUC':>6}  run")
    for net in found:
        typer.echo(f"{'+'.join(map(str, net.feed_forward)):<20} {net.mb:>5.1f} {net.texts_per_s:>8.0f} {net.mean_auc:>6.4f}  {net.run}")


@evaluate_app.command("cascade")
def evaluate_cascade(data: Data, limit: Annotated[int, typer.Option(help="At most so many texts a slice.", min=1)] = 500, models: Models = None, as_json: Json = False) -> None:
    """Measure the first model of the text bundle, or one fitted to find out whether it would pay: what it clears, and which flags are lost by it."""
    _prepare(data)
    from models.train import text_data
    from models.train.text_cascade import cascade
    from models.train.text_config import TextConfig
    from stream.load import load_bundle, load_policy

    with _plain():
        settings = settings_for(models=models)
        review = {label: rule.review for label, rule in load_policy(settings).labels.items()}
        found = cascade(load_bundle(settings, "message").folder, data, text_data.load(data, TextConfig()), review=review, limit=limit)
    if as_json:
        say({"own": found.own, "ordinary_cleared": found.ordinary, "tested_cleared": found.tested, "true_flags": {k: v[0] for k, v in found.lost.items()}, "lost": {k: v[1] for k, v in found.lost.items()}})
        return
    typer.echo("the bundle's own first model" if found.own else "the bundle has no first model; one that was fitted now:")
    typer.echo(f"cleared: {found.ordinary:.1%} of ordinary harmless texts, {found.tested:.1%} of the test texts")
    for label, (flags, lost) in found.lost.items():
        typer.echo(f"{label:<11} {lost} of {flags} true flags lost ({lost / max(1, flags):.2%})")


@evaluate_app.command("tune")
def evaluate_tune(
    data: Data,
    verdicts: Annotated[list[int] | None, typer.Option(help="So many labels to fit to; several to see what more of them gain.  [default: 500, 2000]", min=100, show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="At most so many test texts a set.", min=1)] = 2000,
    models: Models = None,
    as_json: Json = False,
) -> None:
    """Measure what labels of one's own gain: `tune` on some labels of sets that were never trained on, each judged on its test part, beside a TF-IDF model of the same labels."""
    _prepare(data)
    from models.train.text_tuned import gains
    from stream.load import load_bundle, load_policy

    with _plain():
        settings = settings_for(models=models)
        thresholds = {label: rule.review for label, rule in load_policy(settings).labels.items()}
        found = gains(load_bundle(settings, "message").folder, data, verdicts=verdicts or (500, 2000), thresholds=thresholds, limit=limit)
    if as_json:
        say([asdict(one) for one in found])
        return
    for one in found:
        typer.echo(f"{one.slice}, {one.label}: {one.verdicts} verdicts, {one.texts} test texts, {one.positives} positive")
        for name, (value, low, high) in one.auc.items():
            typer.echo(f"  {name:<12} AUC {value:.3f} ({low:.3f} to {high:.3f})  AP {one.ap[name]:.3f}")
        if one.refused:
            typer.echo(f"  {one.refused}")


def _measure(bundle: Path, data: Path, table: TextTable, *, page: Path, against: Path | None, limit: int) -> tuple[Quality, ...]:
    """Everything measured, written to `page`, the plots beside it and the bundle's card."""
    from models.train import text_bundle, text_measure, text_report

    float32 = bundle / text_bundle.FLOAT32
    quality, findings = text_measure.measure(
        bundle, data, table, float32=float32 if float32.is_file() else None, against=against, limit=limit
    )
    text_bundle.requality(bundle, quality)
    opened = Bundle.open(bundle)
    text_report.write(page, opened.card, findings, size_mb=opened.model.stat().st_size / 1e6)
    typer.echo(f"{page}: written, with its plots in {page.parent / page.stem}", err=True)
    return quality


@evaluate_app.command("fraud")
def evaluate_fraud(
    data: Data,
    config: Config = None,
    sequence: Annotated[bool, typer.Option("--sequence", help="Also a sequence model, alone and beside the trees: minutes a week.")] = False,
    validation: Annotated[bool, typer.Option("--validation", help="The weeks that settings were chosen on, in place of the test weeks.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the fraud model and its baselines by the Fraud Detection Handbook's protocol, over the stated weeks."""
    _prepare(data)
    from models.train.fraud_evaluate import evaluate, markdown
    from models.train.fraud_protocol import TEST_WEEKS, VALIDATION_WEEKS

    found = evaluate(data, config=config, weeks=VALIDATION_WEEKS if validation else TEST_WEEKS, sequence=sequence)
    if as_json:
        say([{"contender": one.contender, "week": one.week, "rows": one.rows, "positives": one.positives, **one.figures} for one in found])
    else:
        typer.echo(markdown(found))
