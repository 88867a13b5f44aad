"""From a training run to a bundle: scales calibrated, graphs written, outputs calibrated on validation texts."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models import normalise, ragged
from models.bundle import Bundle, file_sha256
from models.calibration import Calibrator, expected_calibration_error, fit_platt
from models.card import Card, Output, Quality, Source, Withheld
from models.session import open_session
from models.text import TextClassifier
from models.train.text_annotations import annotated
from models.train.text_data import TextTable
from models.train.text_export import Range, build
from models.train.text_network import activation_of
from models.train.text_sources import HEADS, SOURCES, TextSource

log = logging.getLogger(__name__)
TOKEN_BUDGET = 512
MAX_TOKENS = 128
MAX_WINDOWS = 8
HEADS_OF_MINILM = 12
_STUDENT = (
    "a three-layer student of MiniLM-L6",
    "all-MiniLM-L6-v2 (nreimers/MiniLM-L6-H384-uncased), Apache-2.0: layers 0, 2 and 5, vocabulary pruned",
)
_OWN = "a BERT classifier", "a checkpoint that was given to start from"
FLOAT32 = "run/float32.onnx"
"""Where, under a new bundle, the float32 graph of the same form lies; it is no part of the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardParts:
    """What a card says beyond the run itself."""

    withheld: tuple[Withheld, ...] = ()
    quality: tuple[Quality, ...] = ()
    limits: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Graphs:
    """The int8 graph that is shipped and the float32 graph of the same form that it is compared with."""

    int8: bytes
    float32: bytes


def encode(tokenizer: Tokenizer, texts: Sequence[str], *, max_tokens: int = MAX_TOKENS) -> list[list[int]]:
    """Token ids with marks, cut to one window or less."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))]


def quantise(run: Path, calibration: Sequence[Sequence[int]], *, columns: Sequence[int], quantile: float = 0.99) -> Graphs:
    """Graphs of the weights in `run`. Activation ranges are the `quantile` over batches of each batch's smallest and largest value on
    the token ids `calibration`; what lies outside is clipped."""
    weights: dict[str, torch.Tensor] = torch.load(run / "weights.pt", weights_only=True, map_location="cpu")
    layers = len(json.loads((run / "config.json").read_text())["layers"])
    encoder = run / "encoder.json"
    heads = int(json.loads(encoder.read_text())["num_attention_heads"]) if encoder.exists() else HEADS_OF_MINILM
    return graphs_of(weights, calibration, layers=layers, heads=heads, columns=columns, activation=activation_of(run), quantile=quantile)


def graphs_of(
    weights: Mapping[str, torch.Tensor],
    calibration: Sequence[Sequence[int]],
    *,
    layers: int,
    heads: int,
    columns: Sequence[int],
    activation: str,
    quantile: float = 0.99,
) -> Graphs:
    """`quantise` for the state of a `BertForSequenceClassification` with `layers` layers of `heads` attention heads."""
    make = partial(build, weights, layers=layers, heads=heads, columns=columns, activation=activation)
    reference, taps = make(ranges=None)
    session = open_session(reference.SerializeToString(), threads=2)
    spans: dict[str, list[tuple[float, float]]] = {tap: [] for tap in taps}
    lengths = np.array([len(ids) for ids in calibration])
    for rows in ragged.groups(lengths, token_budget=TOKEN_BUDGET):
        values = session.run(list(taps), ragged.feed([calibration[row] for row in rows]))
        for tap, value in zip(taps, values, strict=True):
            spans[tap].append((float(value.min()), float(value.max())))
    ranges = {}
    for tap, seen in spans.items():
        low, high = np.array(seen).T
        ranges[tap] = Range(min(0.0, float(np.quantile(low, 1 - quantile))), max(0.0, float(np.quantile(high, quantile))))
        log.info("text.range %s %.3f to %.3f", tap, ranges[tap].low, ranges[tap].high)
    shipped, _ = make(ranges=ranges)
    onnx.checker.check_model(shipped, check_custom_domain=False)
    plain, _ = make(ranges=None)
    del plain.graph.output[1:]
    return Graphs(shipped.SerializeToString(), plain.SerializeToString())


def calibration_ids(table: TextTable, tokenizer: Tokenizer, *, per_source: int = 250, seed: int = 0) -> list[list[int]]:
    """Token ids of some training texts of every source, in random order."""
    rng = np.random.default_rng(seed)
    rows = table.rows("train")
    sources = table.sources[rows]
    chosen: list[NDArray[np.int64]] = []
    for source in np.unique(sources):
        mine = rows[sources == source]
        chosen.append(rng.choice(mine, min(per_source, len(mine)), replace=False))
    order = rng.permutation(np.concatenate(chosen))
    return encode(tokenizer, [table.texts[row] for row in order])


def column_of(label: str) -> int:
    """The trained column of a label."""
    return HEADS.index(label)


def write(run: Path, table: TextTable, out: Path, *, labels: Sequence[str], created: str, extra: CardParts = CardParts()) -> Path:
    """The bundle of `run` in `out`, with `labels` as outputs, each calibrated on validation texts as they are served; the float32 graph
    to compare it with in `out/run`. Returns `out`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    graphs = quantise(run, calibration_ids(table, tokenizer), columns=[column_of(label) for label in labels])
    (out / "model.onnx").write_bytes(graphs.int8)
    (out / "run").mkdir(exist_ok=True)
    (out / FLOAT32).write_bytes(graphs.float32)
    shutil.copyfile(run / "tokenizer.json", out / "tokenizer.json")
    _card(run, table, out, outputs=tuple(Output(label=label) for label in labels), created=created, extra=extra)
    outputs = calibrate(out, table)
    _card(run, table, out, outputs=outputs, created=created, extra=extra)
    return out


def adopt(candidate: Path, out: Path) -> None:
    """Moves the bundle `candidate`, which has passed its gate, into `out`, the card last: a bundle is there with its card or not at all."""
    (out / "card.json").unlink(missing_ok=True)
    (out / FLOAT32).parent.mkdir(parents=True, exist_ok=True)
    for name in (FLOAT32, *Bundle.open(candidate).card.files, "card.json"):
        (candidate / name).replace(out / name)
    shutil.rmtree(candidate)


def valid_cells(table: TextTable, *, per_source: int = 2500, seed: int = 0) -> NDArray[np.int64]:
    """Validation rows, at most `per_source` of each source, so that no one source decides what a probability means."""
    rng = np.random.default_rng(seed)
    rows = table.rows("valid")
    sources = table.sources[rows]
    mine = [rows[sources == source] for source in np.unique(sources) if source != "madlibs"]
    return np.concatenate([rng.choice(part, min(per_source, len(part)), replace=False) for part in mine])


def calibrate(bundle: Path, table: TextTable, *, per_source: int = 2500) -> tuple[Output, ...]:
    """The outputs of `bundle` with Platt scaling fitted on validation texts, long ones read in windows as in service."""
    model = TextClassifier.load(Bundle.open(bundle), threads=2)
    rows = valid_cells(table, per_source=per_source)
    logits = model.logits([table.texts[row] for row in rows])
    outputs = []
    for column, label in enumerate(model.labels):
        weights = table.weights[rows, column_of(label)]
        truth = table.targets[rows, column_of(label)] > 0.5
        known = weights > 0
        fitted = fit_platt(logits[known, column], truth[known], weights[known])
        probabilities = Calibrator.of((fitted,)).apply(logits[known, column, None])[:, 0]
        error = expected_calibration_error(probabilities, truth[known], weights[known])
        log.info(
            "text.calibrated %s slope=%.3f intercept=%.3f ece=%.4f positives=%d of %d",
            label,
            fitted.slope,
            fitted.intercept,
            error,
            truth[known].sum(),
            known.sum(),
        )
        outputs.append(Output(label=label, calibration=fitted))
    return tuple(outputs)


def _card(run: Path, table: TextTable, out: Path, *, outputs: tuple[Output, ...], created: str, extra: CardParts) -> None:
    rows = table.rows("train")
    trained = tuple(
        Source(name=source.name, licence=source.licence, rows=int((table.sources[rows] == source.name).sum()), note=_note(source))
        for source in SOURCES
        if source.use != "evaluate"
    )
    templates, natural = (int(np.char.startswith(table.sources[rows].astype(str), kind).sum()) for kind in ("templates/", "written/"))
    own = (
        Source(name="templates", licence="Apache-2.0", rows=templates, note="written for this project; split by wording"),
        Source(name="written", licence="Apache-2.0", rows=natural, note="written for this project, each text with all of its labels"),
        Source(name="annotations", licence="Apache-2.0", rows=len(annotated()), note="texts of the sets above that carry labels of ours too"),
    )
    origin = _OWN if (run / "encoder.json").exists() else _STUDENT
    card = Card(
        name="moderation",
        kind="message",
        licence="Apache-2.0",
        created=created,
        description=f"Harms in short English messages: {origin[0]} with int8 weights and fixed activation scales.",
        base=origin[1],
        outputs=outputs,
        withheld=extra.withheld,
        quality=extra.quality,
        limits=extra.limits,
        files={name: file_sha256(out / name) for name in ("model.onnx", "tokenizer.json")},
        parameters={
            "max_tokens": MAX_TOKENS,
            "max_windows": MAX_WINDOWS,
            "token_budget": TOKEN_BUDGET,
            "normaliser": normalise.DIGEST,
            "training": json.loads((run / "config.json").read_text()) if not extra.training else extra.training,
        },
        sources=(*trained, *own),
    )
    (out / "card.json").write_text(card.model_dump_json(indent=1) + "\n")


def _note(source: TextSource) -> str:
    return "; ".join(part for part in ("self_harm output only" if source.use == "self_harm only" else "", source.note) if part)


def requality(bundle: Path, quality: tuple[Quality, ...]) -> None:
    """The figures `quality` in the card of `bundle`; what shapes a score stays, and so does the bundle's digest."""
    card = Bundle.open(bundle).card.model_copy(update={"quality": quality})
    (bundle / "card.json").write_text(card.model_dump_json(indent=1) + "\n")
