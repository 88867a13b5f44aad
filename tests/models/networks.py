"""Trained networks back in memory, for the tests that look inside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

from models.train.text_narrow import put
from models.train.text_network import activation_of, student
from models.train.text_sources import HEADS


def restored(run: Path) -> tuple[BertForSequenceClassification, Tokenizer]:
    """The network and the tokenizer of a finished run of a student."""
    layers = json.loads((run / "config.json").read_text())["layers"]
    model = student(np.load(run / "kept.npy"), layers, len(HEADS), activation_of(run))
    put(model, torch.load(run / "weights.pt", weights_only=True))
    return model, Tokenizer.from_file(str(run / "tokenizer.json"))
