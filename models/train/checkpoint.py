"""A user's own BERT classifier, in the folder form of transformers: read, checked, and made into a bundle in int8."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification
from transformers.utils import logging as transformers_logging

from models import normalise, ragged
from models.bundle import Bundle, file_sha256
from models.calibration import sigmoid
from models.card import Card, Output, Quality
from models.errors import ModelError
from models.session import open_session
from models.train.text_bundle import MAX_TOKENS, MAX_WINDOWS, TOKEN_BUDGET, graphs_of
from models.train.text_config import ACTIVATIONS
from models.train.text_network import built, pad
from models.windows import shortened
from schemas.labels import MESSAGE_LABELS

NEEDED = 40
"""Texts without which activation scales cannot be set and judged."""
CHECKED = 4
"""One text in so many is kept to compare the int8 graph with the checkpoint; the others set the activation scales."""
MEAN_ALLOWED, SIDES_ALLOWED = 0.02, 0.02
"""How far probabilities may move in the mean, and the share of texts that may change sides at one half."""
NEAR = 0.05
"""A probability that crosses one half by moving less than this has not changed sides: it was on none."""


class CheckpointError(ModelError):
    """The checkpoint cannot be used, or loses too much in int8; one line says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What int8 costs a label on texts that set no scale: the difference of probabilities in the mean and at most, and the share of
    texts that change sides at one half."""

    label: str
    texts: int
    mean: float
    most: float
    sides: float


def read(folder: Path) -> tuple[BertForSequenceClassification, Tokenizer]:
    """The classifier and the tokenizer of a checkpoint. Raises `CheckpointError` for what the graph cannot express."""
    try:
        config = json.loads((folder / "config.json").read_text())
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:
        # The tokenizer's own errors have no common type.
        raise CheckpointError(f"{folder}: no checkpoint: config.json or tokenizer.json cannot be read ({type(error).__name__})") from error
    if not isinstance(config, dict) or config.get("model_type") != "bert":
        raise CheckpointError(f"{folder}: only BERT classifiers can be used, and this is {_of(config, 'model_type', 'of no known type')}")
    for name, wanted in (("hidden_act", ACTIVATIONS), ("position_embedding_type", ("absolute",)), ("layer_norm_eps", (1e-12,))):
        if config.get(name, wanted[0]) not in wanted:
            raise CheckpointError(f"{folder}: {name} must be {' or '.join(map(str, wanted))}, not {config[name]}")
    for mark in ("[CLS]", "[SEP]"):
        if tokenizer.token_to_id(mark) is None:
            raise CheckpointError(f"{folder}: tokenizer.json has no {mark}")
    transformers_logging.disable_progress_bar()
    try:
        model = BertForSequenceClassification.from_pretrained(str(folder), local_files_only=True, attn_implementation="eager")
    except Exception as error:
        raise CheckpointError(f"{folder}: the weights cannot be read ({type(error).__name__}: {str(error).splitlines()[0][:120]})") from error
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise CheckpointError(f"{folder}: the tokenizer has {tokenizer.get_vocab_size()} pieces, the model {model.config.vocab_size}")
    tokenizer.no_padding()
    model.train(mode=False)
    return model, tokenizer


def _of(config: object, name: str, missing: str) -> str:
    return str(config.get(name, missing))[:40] if isinstance(config, dict) else missing


def heads_of(model: BertForSequenceClassification, mapping: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """For each of our labels in `mapping` (ours to the checkpoint's; empty: those whose names agree) the weights with which its logit
    is summed up from the checkpoint's outputs, [outputs]: one output where each is a label of its own, and where two exclude each
    other the difference from the other one. Raises `CheckpointError`."""
    names = {str(name): int(number) for number, name in (model.config.id2label or {}).items()}
    wanted = dict(mapping) or {name: name for name in MESSAGE_LABELS if name in names}
    if not wanted:
        raise CheckpointError(f"say which output stands for which label: --map harassment=NAME; the outputs are {', '.join(names)}")
    exclusive = model.config.problem_type != "multi_label_classification"
    if exclusive and len(names) != 2:
        raise CheckpointError(f"{len(names)} outputs that exclude each other: only two can become a probability of one label each")
    found = {}
    for label, name in wanted.items():
        if label not in MESSAGE_LABELS:
            raise CheckpointError(f"{label!r} is no label; known: {', '.join(MESSAGE_LABELS)}")
        if name not in names:
            raise CheckpointError(f"{label}={name}: the checkpoint has no such output; it has {', '.join(names)}")
        row = np.zeros(len(names), np.float32)
        row[names[name]] = 1.0
        found[label] = 2 * row - 1 if exclusive else row
    return found


def is_checkpoint(folder: Path) -> bool:
    """Whether `folder` has the form of transformers, and not that of one of our own runs."""
    return (folder / "config.json").is_file() and not (folder / "kept.npy").exists()


def as_run(folder: Path, out: Path, *, outputs: Sequence[str]) -> Path:
    """The checkpoint in `folder` in the form of a run that training can start from, in `out`: all its layers and word pieces, the positions of
    one window, and an output for each of `outputs`, fresh where the checkpoint has none of that name. Raises `CheckpointError`."""
    model, tokenizer = read(folder)
    names = {str(name): int(number) for number, name in (model.config.id2label or {}).items()}
    config = model.config.to_dict() | {
        "num_labels": len(outputs), "id2label": dict(enumerate(outputs)), "label2id": {name: number for number, name in enumerate(outputs)},
        "max_position_embeddings": min(MAX_TOKENS, int(model.config.max_position_embeddings)), "problem_type": "multi_label_classification",
    }  # fmt: skip
    fresh = built(config)
    state, mine = model.state_dict(), fresh.state_dict()
    for name in mine:
        if name == "bert.embeddings.position_embeddings.weight":
            mine[name] = state[name][: mine[name].shape[0]].clone()
        elif name.startswith("classifier."):
            for row, output in enumerate(outputs):
                if output in names and model.config.problem_type == "multi_label_classification":
                    mine[name][row] = state[name][names[output]]
        elif name in state and state[name].shape == mine[name].shape:
            mine[name] = state[name].clone()
    out.mkdir(parents=True, exist_ok=True)
    torch.save(mine, out / "weights.pt")
    np.save(out / "kept.npy", np.arange(int(model.config.vocab_size)))
    tokenizer.no_truncation()
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "config.json").write_text(json.dumps({"layers": list(range(int(model.config.num_hidden_layers)))}))
    (out / "encoder.json").write_text(json.dumps(config, default=str))
    return out


def quantize(folder: Path, texts: Sequence[str], out: Path, *, mapping: Mapping[str, str], created: str, licence: str) -> tuple[Loss, ...]:
    """Write the bundle of the checkpoint in `folder` to the new folder `out`, with activation scales set on three of four of `texts`.
    What int8 costs on the others is returned and on the card. Raises `CheckpointError` when it is too much, and then writes nothing."""
    if out.exists():
        raise CheckpointError(f"{out}: is there already; name another folder")
    model, tokenizer = read(folder)
    mixing = np.stack(list((labels := heads_of(model, mapping)).values()))
    limit = min(MAX_TOKENS, int(model.config.max_position_embeddings))
    tokenizer.enable_truncation(limit)
    distinct = sorted({shortened(text, max_chars=20_000, parts=1) for text in texts if text.strip()})
    if len(distinct) < NEEDED:
        raise CheckpointError(f"{len(distinct)} different texts: {NEEDED} are needed to set the scales of int8 and to judge them")
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(distinct)]
    checked, setting = ids[::CHECKED], [one for number, one in enumerate(ids) if number % CHECKED]

    state: dict[str, torch.Tensor] = dict(model.state_dict())
    mixed = torch.from_numpy(mixing)
    state["classifier.weight"], state["classifier.bias"] = mixed @ state["classifier.weight"], mixed @ state["classifier.bias"]
    graphs = graphs_of(
        state, setting, layers=int(model.config.num_hidden_layers), heads=int(model.config.num_attention_heads), columns=range(len(labels)),
        activation=str(model.config.hidden_act),
    )  # fmt: skip
    exact = sigmoid(_logits(model, checked) @ mixing.T)
    found = sigmoid(ragged.run(open_session(graphs.int8), checked, token_budget=TOKEN_BUDGET))
    losses = tuple(_loss(label, exact[:, column], found[:, column]) for column, label in enumerate(labels))
    if worse := [one for one in losses if one.mean > MEAN_ALLOWED or one.sides > SIDES_ALLOWED]:
        told = "; ".join(f"{one.label}: probabilities move by {one.mean:.3f} in the mean, {one.sides:.1%} change sides" for one in worse)
        raise CheckpointError(f"int8 loses too much, nothing was written: {told}")
    _write(folder, tokenizer, graphs.int8, out, tuple(labels), limit, losses, created=created, licence=licence, used=len(setting))
    return losses


def _logits(model: BertForSequenceClassification, ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    rows = []
    with torch.inference_mode():
        for start in range(0, len(ids), 32):
            tokens, mask = pad(ids[start : start + 32])
            rows.append(model(input_ids=tokens, attention_mask=mask).logits.float().numpy())
    return np.concatenate(rows)


def _loss(label: str, exact: NDArray[np.float32], found: NDArray[np.float32]) -> Loss:
    moved = np.abs(exact - found)
    return Loss(
        label=label, texts=len(exact), mean=float(moved.mean()), most=float(moved.max()), sides=float((((exact >= 0.5) != (found >= 0.5)) & (moved > NEAR)).mean()),
    )


def _write(
    folder: Path,
    tokenizer: Tokenizer,
    graph: bytes,
    out: Path,
    labels: Sequence[str],
    limit: int,
    losses: Sequence[Loss],
    *,
    created: str,
    licence: str,
    used: int,
) -> None:
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        (partial / "model.onnx").write_bytes(graph)
        tokenizer.no_truncation()
        tokenizer.save(str(partial / "tokenizer.json"))
        parameters: dict[str, Any] = {
            "max_tokens": limit, "max_windows": MAX_WINDOWS, "token_budget": TOKEN_BUDGET, "normaliser": normalise.DIGEST,
            "scales_from": {"texts": used},
        }  # fmt: skip
        card = Card(
            name="moderation",
            kind="message",
            description="A BERT classifier in int8 with fixed activation scales, made from a checkpoint.",
            licence=licence,
            created=created,
            base=folder.resolve().name,
            outputs=tuple(Output(label=label) for label in labels),
            files={name: file_sha256(partial / name) for name in ("model.onnx", "tokenizer.json")},
            parameters=parameters,
            quality=tuple(
                Quality(
                    slice="int8 against the checkpoint", label=one.label, rows=one.texts, positives=0,
                    figures={"mean_difference": one.mean, "largest_difference": one.most, "share_changing_sides": one.sides},
                    note="texts that set no scale; not a measure of the checkpoint's own quality",
                )
                for one in losses
            ),
            limits=("Probabilities are the checkpoint's own and were not calibrated: `flagstream tune` does that from verdicts.",),
        )  # fmt: skip
        (partial / "card.json").write_text(card.model_dump_json(indent=1) + "\n")
        Bundle.open(partial)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
