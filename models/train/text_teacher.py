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

from models import ragged
from models.calibration import sigmoid
from models.errors import ModelError
from models.session import open_session
from models.train.text_bundle import TOKEN_BUDGET, encode, quantise
from models.train.text_narrow import put
from models.train.text_network import activation_of, built, student
from models.train.text_sources import HEADS

log = logging.getLogger(__name__)
_CALIBRATE = 3_000
"""Texts that set the scales of a teacher's activations."""


def restored(run: Path) -> tuple[BertForSequenceClassification, Tokenizer]:
    """The network and the tokenizer of a finished run. Raises `ModelError` when its outputs are not `HEADS`."""
    encoder = run / "encoder.json"
    if encoder.exists():
        model = built(json.loads(encoder.read_text()))
    else:
        layers = json.loads((run / "config.json").read_text())["layers"]
        model = student(np.load(run / "kept.npy"), layers, len(HEADS), activation_of(run))
    weights = torch.load(run / "weights.pt", weights_only=True, map_location="cpu")
    if len(weights["classifier.bias"]) != len(HEADS):
        raise ModelError(f"{run}: it has {len(weights['classifier.bias'])} outputs, a teacher needs {len(HEADS)}: {', '.join(HEADS)}")
    put(model, weights)
    return model, Tokenizer.from_file(str(run / "tokenizer.json"))


def opinions(runs: Sequence[Path], texts: Sequence[str]) -> NDArray[np.float32]:
    """What the networks of `runs` say of `texts` together, as int8: the mean of their log-odds as probabilities [texts, heads], for soft
    targets (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", at temperature 1)."""
    told = np.zeros((len(texts), len(HEADS)), np.float32)
    for run in runs:
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
        ids = encode(tokenizer, texts)
        picked = np.random.default_rng(0).choice(len(ids), min(_CALIBRATE, len(ids)), replace=False)
        graph = quantise(run, [ids[row] for row in picked], columns=range(len(HEADS))).int8
        log.info("text.teacher %s reads %d texts", run, len(texts))
        told += ragged.run(open_session(graph, threads=2), ids, token_budget=TOKEN_BUDGET) / len(runs)
    return sigmoid(told)
