"""One run of several: the mean of their weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from models.errors import ModelError
from models.train.text_network import activation_of


def average(runs: Sequence[Path], out: Path) -> Path:
    """Writes a run to `out` whose weights are the mean of those of `runs`; a run named twice counts twice. Returns `out`.

    The runs must share their vocabulary and shape, as legs of one training do (each started from the one before). The mean of several
    legs fits the training texts less closely than the last of them: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima
    and Better Generalization". Raises `ModelError` when the runs differ in shape, activation or words."""
    first, *others = runs
    for other in others:
        if (other / "tokenizer.json").read_bytes() != (first / "tokenizer.json").read_bytes():
            raise ModelError(f"{other}: its words are not those of {first}; only runs that started from one another can be averaged")
    configs = [json.loads((run / "config.json").read_text()) for run in runs]
    for run, config in zip(runs, configs, strict=True):
        if config.get("folds", 1) > 1:
            raise ModelError(f"{run}: a specialist, whose mean with others would have seen what each left out")
    states = [torch.load(run / "weights.pt", weights_only=True, map_location="cpu") for run in runs]
    shapes = [{name: tensor.shape for name, tensor in state.items()} for state in states]
    for run, shape in zip(runs, shapes, strict=True):
        if shape != shapes[0] or activation_of(run) != activation_of(first):
            raise ModelError(f"{run}: its network is not of the form of {first}")
    mean = {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[0].items()
    }
    out.mkdir(parents=True, exist_ok=True)
    torch.save(mean, out / "weights.pt")
    for name in ("tokenizer.json", "kept.npy", "encoder.json"):
        if (first / name).exists():
            shutil.copyfile(first / name, out / name)
    (out / "config.json").write_text(json.dumps({**configs[-1], "averaged": configs}, indent=1))
    return out
