"""Fewer neurons in the feed-forward part of a network's layers: those that move their layer's output least go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any

import torch
from transformers import BertForSequenceClassification

from models.errors import ModelError
from models.train.text_network import forward, pad


def put(model: BertForSequenceClassification, weights: Mapping[str, torch.Tensor]) -> None:
    """Puts `weights` into `model`, whose feed-forward parts become as wide as theirs are."""
    hidden = int(model.config.hidden_size)
    for layer, width in zip(_layers(model), widths_in(weights), strict=False):
        if width == layer.intermediate.dense.out_features:
            continue
        layer.intermediate.dense, layer.output.dense = torch.nn.Linear(hidden, width), torch.nn.Linear(width, hidden)
    model.load_state_dict(weights)


def widths_in(weights: Mapping[str, torch.Tensor]) -> list[int]:
    """Neurons of each layer's feed-forward part in a network's state."""
    names = (f"bert.encoder.layer.{layer}.intermediate.dense.bias" for layer in count())
    return [len(weights[name]) for name in takewhile(weights.__contains__, names)]


def narrow(model: BertForSequenceClassification, widths: Sequence[int], ids: Sequence[Sequence[int]], *, batch: int = 64) -> None:
    """Keeps in each layer the `widths` neurons that matter most, in place.

    A neuron's weight is the root mean square of its activation over the token ids `ids`, times the length of the vector that it adds to
    the output (magnitude times activation as in Sun et al. 2023, "A Simple and Effective Pruning Approach for Large Language Models",
    summed up by neuron). Raises `ModelError` when the widths are not one a layer, or wider than the layers."""
    had = widths_in(model.state_dict())
    if len(widths) != len(had) or any(not 0 < width <= before for width, before in zip(widths, had, strict=True)):
        raise ModelError(f"feed_forward = {list(widths)}: this network's layers have {had} neurons")
    powers = [torch.zeros(width) for width in had]
    hooks = [layer.intermediate.register_forward_hook(_summing(power)) for layer, power in zip(_layers(model), powers, strict=True)]
    model.train(mode=False)
    with torch.inference_mode():
        for first in range(0, len(ids), batch):
            forward(model, *pad(ids[first : first + batch]))
    for hook in hooks:
        hook.remove()
    for layer, power, width in zip(_layers(model), powers, widths, strict=True):
        up, down = layer.intermediate.dense, layer.output.dense
        kept = (power.sqrt() * down.weight.detach().norm(dim=0)).topk(width).indices.sort().values
        narrower = torch.nn.Linear(up.in_features, width), torch.nn.Linear(width, down.out_features)
        with torch.no_grad():
            narrower[0].weight.copy_(up.weight[kept])
            narrower[0].bias.copy_(up.bias[kept])
            narrower[1].weight.copy_(down.weight[:, kept])
            narrower[1].bias.copy_(down.bias)
        layer.intermediate.dense, layer.output.dense = narrower


def _layers(model: BertForSequenceClassification) -> list[Any]:
    return list(model.bert.encoder.layer)


def _summing(power: torch.Tensor) -> Any:  # noqa: ANN401 (the library's hooks are not typed)
    def add(_module: object, _inputs: object, activations: torch.Tensor) -> None:
        power.add_(activations.float().square().sum((0, 1)))

    return add
