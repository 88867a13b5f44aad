"""A bundle as a run that training can start from: its int8 weights widened to float32 again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from tokenizers import Tokenizer

from models.bundle import Bundle
from models.errors import ModelError
from models.train.text_bundle import HEADS_OF_MINILM
from models.train.text_config import GELU, RELU
from models.train.text_narrow import put
from models.train.text_network import student
from models.train.text_sources import HEADS
from models.train.text_vocabulary import base_folder

_MINILM_LAYERS = 6
Get = Callable[[str], NDArray[np.float32]]


def is_bundle(folder: Path) -> bool:
    """Whether `folder` has the form of a bundle."""
    return (folder / "card.json").is_file() and (folder / "model.onnx").is_file()


def as_run(folder: Path, out: Path) -> Path:
    """The text bundle in `folder` in the form of a run, in `out`. Outputs that it lacks are fresh. Rounding to int8 is all that is lost.

    Raises `ModelError` when the graph is not one that `text_export` writes for a student of MiniLM-L6."""
    bundle = Bundle.open(folder)
    graph = onnx.load(str(bundle.model)).graph
    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    tokenizer = Tokenizer.from_file(str(bundle.file("tokenizer.json")))
    original = Tokenizer.from_file(str(base_folder() / "tokenizer.json")).get_vocab()
    pieces = sorted(tokenizer.get_vocab().items(), key=lambda piece: piece[1])
    try:
        kept = np.array([original[piece] for piece, _ in pieces])
        layers = sum(name.endswith("_up_w8") for name in constants)
        if not 1 <= layers <= _MINILM_LAYERS:
            raise ModelError(f"{folder}: {layers} layers; a student of MiniLM-L6 has 1 to {_MINILM_LAYERS}")
        # Which layers stand here is of no weight: all of their values are replaced.
        activation = RELU if any(node.op_type == "Relu" for node in graph.node) else GELU
        model = student(kept, range(layers), len(HEADS), activation)
        state = model.state_dict()
        for name, value in _state(constants, layers=layers, labels=[output.label for output in bundle.card.outputs], state=state).items():
            state[name] = torch.from_numpy(np.array(value, np.float32, order="C"))
        put(model, state)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: model.onnx is no student of MiniLM-L6 ({error})") from error
    out.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), out / "weights.pt")
    np.save(out / "kept.npy", kept)
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "config.json").write_text(json.dumps({"layers": list(range(layers)), "activation": activation, "bundle": bundle.digest}))
    return out


def _state(
    constants: dict[str, NDArray[np.generic]], *, layers: int, labels: list[str], state: dict[str, torch.Tensor]
) -> dict[str, NDArray[np.float32]]:
    def wide(name: str) -> NDArray[np.float32]:
        return np.asarray(constants[f"{name}_w8"], np.float32) * np.asarray(constants[f"{name}_scale"], np.float32)

    def plain(name: str) -> NDArray[np.float32]:
        return np.asarray(constants[name], np.float32)

    embeddings, hidden = "bert.embeddings.", constants["words_8"].shape[1]
    # The export adds the one token type to every place.
    found = {
        f"{embeddings}word_embeddings.weight": plain("words_8") * plain("words_scale"),
        f"{embeddings}position_embeddings.weight": plain("places_half"),
        f"{embeddings}token_type_embeddings.weight": np.zeros((2, hidden), np.float32),
        f"{embeddings}LayerNorm.weight": plain("x_gain"),
        f"{embeddings}LayerNorm.bias": plain("x_bias"),
        "bert.pooler.dense.weight": plain("pool_w_half").T,
        "bert.pooler.dense.bias": plain("pool_b"),
    }
    for layer in range(layers):
        name, prefix = f"l{layer}", f"bert.encoder.layer.{layer}."
        parts, biases = _last(name, wide, plain, hidden) if layer == layers - 1 else _attention(name, wide, plain)
        for part, weight, bias in zip(("query", "key", "value"), parts, biases, strict=True):
            found[f"{prefix}attention.self.{part}.weight"], found[f"{prefix}attention.self.{part}.bias"] = weight.T, bias
        for ours, theirs in (("out", "attention.output.dense"), ("up", "intermediate.dense"), ("down", "output.dense")):
            found[f"{prefix}{theirs}.weight"], found[f"{prefix}{theirs}.bias"] = wide(f"{name}_{ours}").T, plain(f"{name}_{ours}_b")
        for ours, theirs in (("mid", "attention.output.LayerNorm"), ("end", "output.LayerNorm")):
            found[f"{prefix}{theirs}.weight"], found[f"{prefix}{theirs}.bias"] = plain(f"{name}_{ours}_gain"), plain(f"{name}_{ours}_bias")
    weight, bias = (np.array(state[f"classifier.{part}"]) for part in ("weight", "bias"))
    for column, label in enumerate(labels):
        weight[HEADS.index(label)], bias[HEADS.index(label)] = plain("out_w")[:, column], plain("out_b")[column]
    return found | {"classifier.weight": weight, "classifier.bias": bias}


def _attention(name: str, wide: Get, plain: Get) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    return np.split(wide(f"{name}_qkv"), 3, axis=1), np.split(plain(f"{name}_qkv_b"), 3)


def _last(name: str, wide: Get, plain: Get, hidden: int) -> tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """The last layer's matrices, which the export folds by head; a key's bias has no part in it."""
    width = hidden // HEADS_OF_MINILM
    key = (plain(f"{name}_key_half") * np.sqrt(width)).transpose(2, 0, 1).reshape(hidden, hidden)
    value = plain(f"{name}_value_half").transpose(1, 0, 2).reshape(hidden, hidden)
    zero = np.zeros(hidden, np.float32)
    return [wide(f"{name}_query"), key, value], [plain(f"{name}_query_b"), zero, plain(f"{name}_value_bias")]
