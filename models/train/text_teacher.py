"""Distillation: a smaller network learns what a larger one says of each training text, also where no data set decides."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

from models.errors import ModelError
from models.train.text_narrow import put
from models.train.text_network import built, logits, student
from models.train.text_sources import HEADS

log = logging.getLogger(__name__)


def restored(run: Path) -> tuple[BertForSequenceClassification, Tokenizer]:
    """The network and the tokenizer of a finished run. Raises `ModelError` when its outputs are not `HEADS`."""
    encoder = run / "encoder.json"
    if encoder.exists():
        model = built(json.loads(encoder.read_text()))
    else:
        model = student(np.load(run / "kept.npy"), json.loads((run / "config.json").read_text())["layers"], len(HEADS))
    weights = torch.load(run / "weights.pt", weights_only=True, map_location="cpu")
    if len(weights["classifier.bias"]) != len(HEADS):
        raise ModelError(f"{run}: it has {len(weights['classifier.bias'])} outputs, a teacher needs {len(HEADS)}: {', '.join(HEADS)}")
    put(model, weights)
    return model, Tokenizer.from_file(str(run / "tokenizer.json"))


def opinions(run: Path, texts: Sequence[str], *, max_tokens: int) -> NDArray[np.float32]:
    """What the run's network says of `texts`: probabilities [texts, heads], as soft targets (Hinton et al. 2015, "Distilling the
    Knowledge in a Neural Network", at temperature 1)."""
    model, tokenizer = restored(run)
    tokenizer.enable_truncation(max_tokens)
    log.info("text.teacher %s reads %d texts", run, len(texts))
    found: NDArray[np.float32] = torch.from_numpy(
        logits(model, [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts))], fast=True)
    ).sigmoid().numpy()
    return found
