"""Fine-tuning of the text student: masked losses over many sources, disguised texts, checkpoints and resume."""

from __future__ import annotations

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch starts its threads: spinning ones starve the machine

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tokenizers import Tokenizer
from torch.optim.swa_utils import AveragedModel
from transformers import BertForSequenceClassification

from models.errors import ModelError
from models.normalise import normalise
from models.train.text_augment import disguise, has_identity, swap_identities
from models.train.text_auxiliary import answers, auxiliaries, trimmed, widened
from models.train.text_config import GELU, TextConfig
from models.train.text_data import FIRM, HEAD_SHARES, TextTable, balance, load
from models.train.text_narrow import narrow, put
from models.train.text_network import activation_of, built, forward, logits, pad, student
from models.train.text_sources import HEADS
from models.train.text_specialist import Opinions, Specialist, of_unseen, second_opinions, specialised
from models.train.text_teacher import opinions
from models.train.text_vocabulary import prune

log = logging.getLogger(__name__)
_READ_TO_NARROW = 3_000
"""Training texts that tell which neurons matter."""
_CHUNK = 50
"""Batches whose texts are sorted by length together, so that a batch has little padding."""


def train(data: Path, out: Path, *, config: Path | None = None, resume: bool = False) -> Path:
    """Trains on the sets under `data` and writes `weights.pt`, `tokenizer.json`, `kept.npy`, `config.json` and `train.json` into `out`;
    with `resume`, goes on from `out/checkpoint.pt`. Returns the path of the weights."""
    settings = TextConfig.from_toml(config)
    return fit(load(data, settings), out, settings, resume=resume)


def fit(
    table: TextTable, out: Path, config: TextConfig, *, resume: bool = False, start: Path | None = None, teachers: Sequence[Path] = (),
    specialists: Sequence[Path] = (),
) -> Path:
    """`train` on a table that is loaded; `start` names a run whose weights and vocabulary are taken over, `teachers` those whose
    opinions, in the mean, are learned beside what the data sets say, `specialists` those that are asked of texts which they have not seen,
    and that teach the auxiliary outputs of `config.auxiliary`. With `config.sources` the run is a specialist itself, of those sets."""
    asked = [Specialist.of(run) for run in specialists]
    auxiliary = auxiliaries(config.auxiliary, asked)
    if config.sources:
        table = specialised(table, config)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    rows = table.rows("train")
    checkpoint = out / "checkpoint.pt"
    resume = resume and checkpoint.exists()
    if resume:
        _same_texts(out, config)
    state = torch.load(checkpoint, weights_only=True) if resume else None
    names = [one.name for one in auxiliary]
    if state is not None and (was := state.get("auxiliary", [])) != names:
        raise ModelError(f"{out}: begun with the auxiliary outputs {was}, and cannot go on with {names}")
    origin = out if resume else start
    if origin is not None:
        tokenizer_json, kept = (origin / "tokenizer.json").read_text(), np.load(origin / "kept.npy")
    else:
        tokenizer_json, kept = prune([table.texts[row] for row in rows], table.shares[rows], config.vocabulary)
    (out / "tokenizer.json").write_text(tokenizer_json)
    np.save(out / "kept.npy", kept)
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.enable_truncation(config.max_tokens)

    model = _network(origin, kept, out, config, outputs=len(HEADS) + len(auxiliary))
    if state is not None:
        put(model, state["model"])
    elif start is not None:
        put(model, widened(torch.load(start / "weights.pt", weights_only=True), auxiliary))
    if config.feed_forward and state is None:
        read = np.random.default_rng(config.seed).choice(rows, min(_READ_TO_NARROW, len(rows)), replace=False)
        narrow(model, config.feed_forward, [encoding.ids for encoding in tokenizer.encode_batch_fast([table.texts[row] for row in read])])
    mean = AveragedModel(model, avg_fn=_moving(config.averaged)) if config.averaged else None
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True)
    drawn = float(table.shares[rows].sum())
    total = max(1, int(min(drawn, config.limit or drawn) * config.epochs / config.batch))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(step / (config.warmup * total + 1), max(0.0, (total - step) / total))
    )
    done = 0
    if state is not None:
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        if mean is not None:
            mean.load_state_dict(state["mean"])
        done = state["step"]
    weights = balance(table, rows)
    unseen = of_unseen(asked, table, rows, max_tokens=config.max_tokens)
    lessons = _lessons(table, rows, config, teachers, unseen) if teachers or unseen else None
    said, known = answers(auxiliary, unseen, table, rows, max_tokens=config.max_tokens)
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast([table.texts[row] for row in rows])]
    log.info("text.start texts=%d steps=%d from=%d tokens_mean=%.1f", len(rows), total, done, float(np.mean([len(text) for text in ids])))

    began, seen, running = time.monotonic(), 0, 0.0
    for step, (batch, tokens) in enumerate(_batches(table, rows, ids, tokenizer, config), start=0):
        if step >= total:
            break
        if step < done:
            continue
        model.train()
        inputs, mask = pad(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            every = forward(model, inputs, mask).float()
        outputs, aside = every[:, : len(HEADS)], every[:, len(HEADS) :]
        if lessons is None:
            loss = _loss(outputs, table.targets[rows[batch]], weights[batch])
        else:
            own = weights[batch] * lessons.own[batch]
            loss = _loss(outputs, table.targets[rows[batch]], own) + _loss(outputs, lessons.taught[batch], HEAD_SHARES * lessons.heard[batch])
        loss = loss + _loss(aside, said[batch], known[batch].astype(np.float32))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        schedule.step()
        if mean is not None:
            mean.update_parameters(model)
        seen += len(batch)
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if (step + 1) % 50 == 0:
            log.info("text.step %d/%d loss=%.4f texts_per_s=%.0f", step + 1, total, running, seen / (time.monotonic() - began))
        if (step + 1) % config.checkpoint_every == 0:
            partial = checkpoint.with_suffix(".tmp")
            torch.save(
                {
                    "model": model.state_dict(),
                    "mean": None if mean is None else mean.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                    "auxiliary": names,
                    "random": torch.get_rng_state(),
                },
                partial,
            )
            partial.replace(checkpoint)
        if (step + 1) % (config.checkpoint_every * 3) == 0:
            _report(model if mean is None else cast("BertForSequenceClassification", mean.module), table, tokenizer, step + 1, limit=2500)
    if mean is not None:
        model.load_state_dict(mean.module.state_dict())
    torch.save(trimmed(model.state_dict()), out / "weights.pt")
    figures = _report(model, table, tokenizer, total, limit=0)
    (out / "train.json").write_text(json.dumps({"steps": total, "seconds": time.monotonic() - began, "valid_auc": figures}, indent=1))
    return out / "weights.pt"


def _same_texts(out: Path, config: TextConfig) -> None:
    """Raises `ModelError` where the run in `out` was begun on other sets, heads, parts or outputs than `config` names."""
    # A run that does not note a name was begun before there was one.
    begun, wanted = _noted(TextConfig()) | json.loads((out / "config.json").read_text()), _noted(config)
    for name in ("sources", "heads", "folds", "left_out", "auxiliary"):
        if begun[name] != wanted[name]:
            raise ModelError(f"{out}: begun with {name} = {begun[name]}, and cannot go on with {wanted[name]}")


def _noted(config: TextConfig) -> dict[str, Any]:
    """The configuration as a run's file has it."""
    noted: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return noted


class _Lessons(NamedTuple):
    """What others say of each text as probabilities, and how much that and what annotators say count in the loss, all [texts, heads]."""

    taught: NDArray[np.float32]
    heard: NDArray[np.float32]
    own: NDArray[np.float32]


def _lessons(
    table: TextTable, rows: NDArray[np.int64], config: TextConfig, teachers: Sequence[Path], unseen: Sequence[Opinions]
) -> _Lessons:
    heard = np.zeros((len(rows), len(HEADS)), np.float32)
    taught, own = np.zeros_like(heard), np.ones_like(heard)
    if teachers:
        taught = opinions(teachers, [table.texts[row] for row in rows], max_tokens=config.max_tokens)
        # No teacher is asked where a text that we wrote decides: they are there for what it gets wrong.
        asked = np.where(np.char.startswith(table.sources[rows], "written/"), np.float32(0), np.float32(config.distilled))
        heard[:] = np.where(table.weights[rows] >= FIRM, asked[:, None], np.float32(config.filled))
        own -= asked[:, None]
    if unseen:
        said, known = second_opinions(unseen, table, rows)
        # Nobody else is asked of these texts: teachers may know their verdicts by heart, and `toxic` would only tell them again.
        alone = known.any(1)
        heard[alone], own[alone] = 0, 1
        own[alone & ~known[:, HEADS.index("toxic")], HEADS.index("toxic")] = 0
        taught[known], heard[known], own[known] = said[known], config.crossfitted, 1 - config.crossfitted
    return _Lessons(taught, heard, own)


def _network(origin: Path | None, kept: NDArray[np.int64], out: Path, config: TextConfig, *, outputs: int) -> BertForSequenceClassification:
    """A network like that of the run `origin`, or a new one, with `outputs`, to put weights into; its shape is noted in `out`."""
    layers, encoder = list(config.layers), None if origin is None else origin / "encoder.json"
    # A run that is resumed stays what it is.
    wanted = "" if origin == out else config.activation
    activation = wanted or (GELU if origin is None else activation_of(origin))
    if encoder is not None and encoder.exists():
        # The run began with a checkpoint of the user's, whose shape is its own.
        shape = json.loads(encoder.read_text()) | {"hidden_act": activation}
        model = built({name: value for name, value in shape.items() if name not in ("id2label", "label2id")} | {"num_labels": outputs})
        (out / "encoder.json").write_text(json.dumps(shape))
        layers = list(range(int(shape["num_hidden_layers"])))
    else:
        model = student(kept, layers, outputs, activation)
        (out / "encoder.json").unlink(missing_ok=True)
    (out / "config.json").write_text(json.dumps(asdict(config) | {"layers": layers, "activation": activation}, indent=1))
    return model


def _moving(kept: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """An exponential moving mean, over fewer steps while there are few (Polyak and Juditsky 1992; the ramp as in Tarvainen and Valpola 2017)."""

    def averaged(mean: torch.Tensor, value: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
        return mean.lerp(value, 1 - min(kept, (1 + int(steps)) / (10 + int(steps))))

    return averaged


def _loss(outputs: torch.Tensor, targets: NDArray[np.float32], weights: NDArray[np.float32]) -> torch.Tensor:
    losses = torch.nn.functional.binary_cross_entropy_with_logits(outputs, torch.from_numpy(targets), reduction="none")
    return (losses * torch.from_numpy(weights)).sum() / (len(outputs) * len(HEADS))


def _batches(
    table: TextTable, rows: NDArray[np.int64], ids: Sequence[Sequence[int]], tokenizer: Tokenizer, config: TextConfig
) -> Iterator[tuple[NDArray[np.int64], list[Sequence[int]]]]:
    """Endless batches of positions in `rows` and their token ids; a function of the seed alone."""
    shares = table.shares[rows]
    epoch = 0
    while True:
        generator = np.random.default_rng((config.seed, epoch))
        rng = random.Random(config.seed * 1000 + epoch)
        times = np.floor(shares + generator.random(len(rows))).astype(np.int64)
        order = generator.permutation(np.repeat(np.arange(len(rows)), times))
        for begin in range(0, len(order), config.batch * _CHUNK):
            chunk = order[begin : begin + config.batch * _CHUNK]
            tokens = [_varied(table.texts[rows[at]], ids[at], tokenizer, config, rng) for at in chunk]
            by_length = np.argsort([len(text) for text in tokens], kind="stable")
            starts = list(range(0, len(chunk) - config.batch + 1, config.batch))
            rng.shuffle(starts)
            for first in starts:
                picked = by_length[first : first + config.batch]
                yield chunk[picked], [tokens[at] for at in picked]
        epoch += 1


def _varied(text: str, ids: Sequence[int], tokenizer: Tokenizer, config: TextConfig, rng: random.Random) -> Sequence[int]:
    changed = text
    if rng.random() < config.swapped and has_identity(text):
        changed = swap_identities(text, rng)
    if rng.random() < config.augmented:
        changed = normalise(disguise(changed[:600], rng))
    return ids if changed is text else tokenizer.encode(changed).ids


def _report(model: BertForSequenceClassification, table: TextTable, tokenizer: Tokenizer, step: int, *, limit: int) -> dict[str, float]:
    """AUC per head, and per head and source, on validation texts; logged."""
    rows = table.rows("valid")
    if limit and limit < len(rows):
        rows = np.random.default_rng(0).choice(rows, limit, replace=False)
    scores = logits(model, [encoding.ids for encoding in tokenizer.encode_batch_fast([table.texts[row] for row in rows])])
    figures: dict[str, float] = {}
    for column, head in enumerate(HEADS):
        known = table.weights[rows, column] >= (0.3 if head in ("harassment", "hate", "profanity") else 0.25)
        for source in ("", *sorted(set(table.sources[rows].tolist()))):
            chosen = known & (table.sources[rows] == source) if source else known
            truth = table.targets[rows[chosen], column] > 0.5
            if 5 <= truth.sum() < len(truth) - 5:
                figures[f"{head}/{source}" if source else head] = float(roc_auc_score(truth, scores[chosen, column]))
    log.info(
        "text.valid step=%d %s", step, " ".join(f"{name}={value:.3f}" for name, value in figures.items() if not limit or "/" not in name)
    )
    return figures
