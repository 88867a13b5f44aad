"""The network that is trained: a few layers of MiniLM-L6, its pruned embeddings, and one linear output per head."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertForSequenceClassification
from transformers.activations import ACT2FN

from models.errors import ModelError
from models.train.text_config import ACTIVATIONS, GELU
from models.train.text_vocabulary import MAX_TOKENS, base_folder


def student(kept_ids: NDArray[np.int64], layers: Sequence[int], heads: int, activation: str = GELU) -> BertForSequenceClassification:
    """MiniLM-L6 cut to `layers`, to the word pieces `kept_ids` and to the positions of one window, with `heads` fresh outputs."""
    model = BertForSequenceClassification.from_pretrained(str(base_folder()), num_labels=heads, attn_implementation="sdpa")
    model.bert.encoder.layer = torch.nn.ModuleList([model.bert.encoder.layer[i] for i in layers])
    model.config.num_hidden_layers = len(layers)
    model.config.hidden_act = activation
    layer: Any  # the library types a list's modules as tensors or modules
    for layer in model.bert.encoder.layer:
        layer.intermediate.intermediate_act_fn = ACT2FN[activation]
    embeddings = model.bert.embeddings
    embeddings.word_embeddings = _part(embeddings.word_embeddings, torch.from_numpy(kept_ids))
    embeddings.position_embeddings = _part(embeddings.position_embeddings, torch.arange(MAX_TOKENS))
    model.config.vocab_size, model.config.max_position_embeddings = len(kept_ids), MAX_TOKENS
    return model


def built(config: Mapping[str, Any]) -> BertForSequenceClassification:
    """A network with the shape that `config` (a BERT's, as its config.json) says, with random weights."""
    library: Any = BertForSequenceClassification  # its constructor is not annotated
    network: BertForSequenceClassification = library(BertConfig(**{**config, "attn_implementation": "sdpa"}))
    return network


def activation_of(run: Path) -> str:
    """The activation of the network in the folder `run`. Raises `ModelError` when it is none of `ACTIVATIONS`."""
    encoder = run / "encoder.json"
    if encoder.exists():
        found = json.loads(encoder.read_text()).get("hidden_act", GELU)
    else:
        found = json.loads((run / "config.json").read_text()).get("activation", GELU)
    if found not in ACTIVATIONS:
        raise ModelError(f"{run}: activation {found!r}; known: {', '.join(ACTIVATIONS)}")
    return str(found)


def _part(whole: torch.nn.Embedding, rows: torch.Tensor) -> torch.nn.Embedding:
    part = torch.nn.Embedding(len(rows), whole.embedding_dim)
    with torch.no_grad():
        part.weight.copy_(whole.weight[rows])
    return part


def forward(model: BertForSequenceClassification, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The network's outputs, [texts, heads]. As the library computes them, but the last layer only for the first token, which is
    all that the outputs read: a quarter less work."""
    attended = mask[:, None, None, :].bool()
    x = model.bert.embeddings(input_ids=tokens)
    layers = list(model.bert.encoder.layer)
    layer: Any  # the library types a list's modules as tensors or modules
    for index, layer in enumerate(layers):
        asking = x[:, :1] if index == len(layers) - 1 else x
        attention = layer.attention.self
        query, key, value = (
            part(source).unflatten(-1, (attention.num_attention_heads, -1)).transpose(1, 2)
            for part, source in ((attention.query, asking), (attention.key, x), (attention.value, x))
        )
        drop = attention.dropout.p if model.training else 0.0
        context = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=attended, dropout_p=drop)
        mixed = layer.attention.output(context.transpose(1, 2).flatten(2), asking)
        x = layer.output(layer.intermediate(mixed), mixed)
    top: Any = model
    outputs: torch.Tensor = top.classifier(top.dropout(top.bert.pooler(x)))
    return outputs


def pad(ids: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and their mask, [texts, longest]."""
    length = max(map(len, ids))
    tokens, mask = np.zeros((len(ids), length), np.int64), np.zeros((len(ids), length), np.int64)
    for row, text in enumerate(ids):
        tokens[row, : len(text)], mask[row, : len(text)] = text, 1
    return torch.from_numpy(tokens), torch.from_numpy(mask)


def logits(
    model: BertForSequenceClassification, ids: Sequence[Sequence[int]], *, batch: int = 128, fast: bool = False
) -> NDArray[np.float32]:
    """The network's outputs in evaluation mode, [texts, heads], float32; `fast`: computed in bfloat16, good to about two digits."""
    model.train(mode=False)
    order = np.argsort([len(text) for text in ids], kind="stable")
    heads = int(model.num_labels)
    out = np.zeros((len(ids), heads), np.float32)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast):
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            tokens, mask = pad([ids[row] for row in rows])
            out[rows] = forward(model, tokens, mask).float().numpy()
    return out
