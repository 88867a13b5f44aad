"""Distillation: a network learns what other ones say of each training text, also where no data set decides."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models import ragged
from models.calibration import sigmoid
from models.errors import ModelError
from models.session import open_session
from models.train.text_bundle import TOKEN_BUDGET, encode, quantise
from models.train.text_sources import HEADS

log = logging.getLogger(__name__)
_CALIBRATE = 3_000
"""Texts that set the scales of a teacher's activations."""


def opinions(runs: Sequence[Path], texts: Sequence[str], *, max_tokens: int) -> NDArray[np.float32]:
    """What the networks of `runs` say of `texts`, cut to `max_tokens`, together, as int8: the mean of their log-odds as probabilities
    [texts, heads], for soft targets (Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", at temperature 1). Raises
    `ModelError` when the outputs of a run are not `HEADS`."""
    positions = [_positions(run) for run in runs]
    told = np.zeros((len(texts), len(HEADS)), np.float32)
    for run, most in zip(runs, positions, strict=True):
        ids = encode(Tokenizer.from_file(str(run / "tokenizer.json")), texts, max_tokens=min(max_tokens, most))
        picked = np.random.default_rng(0).choice(len(ids), min(_CALIBRATE, len(ids)), replace=False)
        graph = quantise(run, [ids[row] for row in picked], columns=range(len(HEADS))).int8
        log.info("text.teacher %s reads %d texts", run, len(texts))
        told += ragged.run(open_session(graph, threads=2), ids, token_budget=TOKEN_BUDGET) / len(runs)
    return sigmoid(told)


def _positions(run: Path) -> int:
    weights = torch.load(run / "weights.pt", weights_only=True, mmap=True)
    if (outputs := len(weights["classifier.bias"])) != len(HEADS):
        raise ModelError(f"{run}: it has {outputs} outputs, a teacher needs {len(HEADS)}: {', '.join(HEADS)}")
    return len(weights["bert.embeddings.position_embeddings.weight"])
