"""The trained network as an ONNX graph for serving: ragged tokens, a last layer for the first token only, int8 with fixed scales.

All tokens of a batch stand in one [T, H] matrix; only attention gathers them into [B, S]. Each product with a trained matrix
quantises its input with a constant scale, calibrated on training texts, so that the result for a text does not depend on the
texts beside it, to the last bit; the product itself is onnxruntime's `MatMulIntegerToFloat` with a scale per column.

Inputs: input_ids [T] and position_ids [T] (int32), idx [B, S] (int64: row of each token of each text, 0 where there is none), inv [T]
(int64: place of each row in the flattened [B·S]), mask [B, S] (int32), cls [B] (int64: row of each first token). Output: logits [B, L]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.train.text_config import RELU

_MS = "com.microsoft"
_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Range:
    """The smallest and largest value that an activation takes, as calibrated."""

    low: float
    high: float


@dataclass(slots=True)
class _Graph:
    """Nodes and constants of a graph in the making; each method returns the name of its output."""

    ranges: Mapping[str, Range] | None
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    taps: list[str] = field(default_factory=list)
    quantised: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def half(self, name: str, value: NDArray[np.float32]) -> str:
        """A float32 constant that the file holds as float16; onnxruntime widens it once, at load."""
        return self.node("Cast", [self.constant(f"{name}_half", value.astype(np.float16))], name, to=TensorProto.FLOAT)

    def node(self, op: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 (the operators define them)
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def once(self, name: str, make: Callable[[], str]) -> str:
        """The output `name`, made at its first use."""
        if name not in self.made:
            self.made.add(name)
            make()
        return name

    def dense(self, name: str, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """X · weight + bias, in int8 when ranges are known; in float32 otherwise, and then `x` is a tap to calibrate."""
        if self.ranges is None:
            if x not in self.taps:
                self.taps.append(x)
            product = self.node("MatMul", [x, self.constant(f"{name}_w", weight)], f"{name}_product")
            return self.node("Add", [product, self.constant(f"{name}_b", bias)], name)
        span = self.ranges[x]
        scale = max((span.high - span.low) / 255, 1e-8)
        zero = int(np.clip(round(-span.low / scale), 0, 255))
        a_scale, a_zero = self.constant(f"{x}_scale", np.array(scale, np.float32)), self.constant(f"{x}_zero", np.array(zero, np.uint8))
        if x not in self.quantised:
            self.quantised[x] = self.node("QuantizeLinear", [x, a_scale, a_zero], f"{x}_u8")
        # Not the full range of int8: kernels without VNNI add two products in 16 bits and would saturate.
        w_scale = (np.abs(weight).max(0) / 127 + 1e-12).astype(np.float32)
        w = np.clip(np.round(weight / w_scale), -127, 127).astype(np.int8)
        return self.node(
            "MatMulIntegerToFloat",
            [
                self.quantised[x],
                self.constant(f"{name}_w8", w),
                a_scale,
                self.constant(f"{name}_scale", w_scale),
                a_zero,
                self.constant(f"{name}_zero", np.zeros(len(w_scale), np.int8)),
                self.constant(f"{name}_b", bias),
            ],
            name,
            domain=_MS,
        )

    def norm(self, name: str, x: str, residual: str, gain: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        # onnxruntime's fused SkipLayerNormalization is a scalar loop, slower than these two.
        total = self.node("Add", [x, residual], f"{name}_sum")
        return self.node(
            "LayerNormalization",
            [total, self.constant(f"{name}_gain", gain), self.constant(f"{name}_bias", bias)],
            name,
            axis=-1,
            epsilon=_EPSILON,
        )

    def flat(self, x: str, width: int, output: str = "") -> str:
        return self.node("Reshape", [x, self.constant(f"rows_of_{width}", np.array([-1, width], np.int64))], output or f"{x}_flat")


def build(
    weights: Mapping[str, torch.Tensor],
    *,
    layers: int,
    heads: int,
    columns: Sequence[int],
    activation: str,
    ranges: Mapping[str, Range] | None,
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The graph for a `BertForSequenceClassification`'s state, with the outputs `columns` of its classifier, and the names of the
    activations to calibrate. Without `ranges` it is the float32 graph, of the same form, and gives those activations as outputs too."""

    def get(key: str) -> NDArray[np.float32]:
        return np.asarray(weights[key].float().numpy())

    graph = _Graph(ranges)
    embeddings = "bert.embeddings."
    table = get(embeddings + "word_embeddings.weight")
    hidden = table.shape[1]
    if ranges is None:
        words = graph.node("Gather", [graph.constant("words", table), "input_ids"], "word")
    else:
        scale = (np.abs(table).max(1, keepdims=True) / 127 + 1e-12).astype(np.float32)
        graph.constant("words_8", np.clip(np.round(table / scale), -127, 127).astype(np.int8))
        graph.constant("words_scale", scale)
        wide = graph.node("Cast", [graph.node("Gather", ["words_8", "input_ids"], "word_8")], "word_wide", to=TensorProto.FLOAT)
        words = graph.node("Mul", [wide, graph.node("Gather", ["words_scale", "input_ids"], "word_scale")], "word")
    places = get(embeddings + "position_embeddings.weight") + get(embeddings + "token_type_embeddings.weight")[0]
    place = graph.node("Gather", [graph.half("places", places), "position_ids"], "place")
    x = graph.norm("x", words, place, get(embeddings + "LayerNorm.weight"), get(embeddings + "LayerNorm.bias"))
    for layer in range(layers):
        x = _layer(graph, get, x, layer=layer, hidden=hidden, heads=heads, activation=activation, last=layer == layers - 1)
    pooled = graph.node("MatMul", [x, graph.half("pool_w", get("bert.pooler.dense.weight").T)], "pool_product")
    pooled = graph.node(
        "Tanh", [graph.node("Add", [pooled, graph.constant("pool_b", get("bert.pooler.dense.bias"))], "pool_sum")], "pooled"
    )
    final = graph.node("MatMul", [pooled, graph.constant("out_w", get("classifier.weight")[list(columns)].T)], "out_product")
    graph.node("Add", [final, graph.constant("out_b", get("classifier.bias")[list(columns)])], "logits")
    taps = tuple(graph.taps)
    return _model(graph, [] if ranges is not None else taps, len(columns)), taps


def _layer(graph: _Graph, get: object, x: str, *, layer: int, hidden: int, heads: int, activation: str, last: bool) -> str:
    assert callable(get)
    prefix = f"bert.encoder.layer.{layer}."
    query, key, value = (get(f"{prefix}attention.self.{part}.weight").T for part in ("query", "key", "value"))
    biases = [get(f"{prefix}attention.self.{part}.bias") for part in ("query", "key", "value")]
    name = f"l{layer}"
    if last:
        residual = graph.node("Gather", [x, "cls"], f"{name}_first", axis=0)
        context = _first_token_attention(graph, name, x, residual, (query, key, value), biases, hidden=hidden, heads=heads)
    else:
        residual = x
        weight, bias = np.concatenate([query, key, value], 1), np.concatenate(biases)
        context = _attention(graph, name, x, weight, bias, hidden=hidden, heads=heads)
    out = graph.dense(f"{name}_out", context, get(f"{prefix}attention.output.dense.weight").T, get(f"{prefix}attention.output.dense.bias"))
    x = graph.norm(
        f"{name}_mid", out, residual, get(f"{prefix}attention.output.LayerNorm.weight"), get(f"{prefix}attention.output.LayerNorm.bias")
    )
    up = graph.dense(f"{name}_up", x, get(f"{prefix}intermediate.dense.weight").T, get(f"{prefix}intermediate.dense.bias"))
    # In int8 onnxruntime drops a ReLU as it loads the graph: rounding to an unsigned byte does the same.
    up = graph.node("Relu", [up], f"{name}_relu") if activation == RELU else graph.node("Gelu", [up], f"{name}_gelu", domain=_MS)
    down = graph.dense(f"{name}_down", up, get(f"{prefix}output.dense.weight").T, get(f"{prefix}output.dense.bias"))
    return graph.norm(f"{name}_end", down, x, get(f"{prefix}output.LayerNorm.weight"), get(f"{prefix}output.LayerNorm.bias"))


def _attention(graph: _Graph, name: str, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32], *, hidden: int, heads: int) -> str:
    """Attention of every token. Queries, keys and values are gathered by head, straight from the one product that makes them, and
    what each head found is gathered back: nothing is split or transposed."""
    width = hidden // heads
    rows = graph.flat(graph.dense(f"{name}_qkv", x, weight, bias), width)
    query, key, value = (
        graph.node("Gather", [rows, _rows_of(graph, part, heads)], f"{name}_{part}", axis=0) for part in ("query", "key", "value")
    )
    scores = graph.node("FusedMatMul", [query, key], f"{name}_scores", domain=_MS, transB=1, alpha=float(1 / np.sqrt(width)))
    shares = graph.node("Softmax", [graph.node("Add", [scores, _penalty(graph)], f"{name}_masked")], f"{name}_shares", axis=-1)
    attended = graph.flat(graph.node("MatMul", [shares, value], f"{name}_attended"), width)
    return graph.flat(graph.node("Gather", [attended, _rows_back(graph, heads)], f"{name}_by_head", axis=0), hidden, f"{name}_context")


def _rows_of(graph: _Graph, part: str, heads: int) -> str:
    """[B, heads, S]: where the heads of each token stand among the rows of [T · 3 · heads, width], which hold queries, keys and values."""

    def first() -> str:
        tokens = graph.node("Mul", ["idx", graph.constant("rows_of_token", np.array(3 * heads, np.int64))], "token_rows")
        return graph.node("Unsqueeze", [tokens, graph.constant("axis_1", np.array([1], np.int64))], "first_rows")

    def rows() -> str:
        start = ("query", "key", "value").index(part) * heads
        steps = np.arange(start, start + heads, dtype=np.int64).reshape(1, heads, 1)
        return graph.node("Add", [graph.once("first_rows", first), graph.constant(f"{part}_heads", steps)], f"{part}_rows")

    return graph.once(f"{part}_rows", rows)


def _rows_back(graph: _Graph, heads: int) -> str:
    """[T, heads]: where the heads of each token stand among the rows of [B · heads · S, width]."""

    def rows() -> str:
        longest = graph.node("Shape", ["idx"], "longest", start=1, end=2)
        before = graph.node("Mul", [graph.node("Div", ["inv", longest], "text_number"), longest], "text_start")
        moved = graph.node("Mul", [before, graph.constant("other_heads", np.array(heads - 1, np.int64))], "other_rows")
        first = graph.node("Add", ["inv", moved], "back_first")
        first = graph.node("Unsqueeze", [first, graph.constant("axis_1", np.array([1], np.int64))], "back_column")
        steps = graph.node("Mul", [longest, graph.constant("each_head", np.arange(heads, dtype=np.int64))], "back_steps")
        return graph.node("Add", [first, steps], "rows_back")

    return graph.once("rows_back", rows)


def _penalty(graph: _Graph) -> str:
    """[B, 1, 1, S]: 0 for a token and -10,000 where there is none."""

    def penalty() -> str:
        shown = graph.node("Cast", ["mask"], "shown", to=TensorProto.FLOAT)
        absent = graph.node("Sub", [shown, graph.constant("one", np.array(1, np.float32))], "absent")
        far = graph.node("Mul", [absent, graph.constant("far", np.array(10_000, np.float32))], "absent_far")
        return graph.node("Unsqueeze", [far, graph.constant("axes_1_2", np.array([1, 2], np.int64))], "penalty")

    return graph.once("penalty", penalty)


def _first_token_attention(
    graph: _Graph,
    name: str,
    x: str,
    first: str,
    matrices: Sequence[NDArray[np.float32]],
    biases: Sequence[NDArray[np.float32]],
    *,
    hidden: int,
    heads: int,
) -> str:
    """Attention of each text's first token: the key matrix is folded into the query and the value matrix applied after the
    weighted sum, so that no other token needs either. A key's bias shifts all scores of a head alike and drops out."""
    width = hidden // heads
    query, key, value = matrices
    q = graph.dense(f"{name}_query", first, query, biases[0])
    q = graph.node("Reshape", [q, graph.constant("by_head", np.array([-1, heads, 1, width], np.int64))], f"{name}_by_head")
    fold = (key.reshape(hidden, heads, width).transpose(1, 2, 0) / np.sqrt(width)).astype(np.float32)
    q = graph.node("MatMul", [q, graph.half(f"{name}_key", fold)], f"{name}_probe")
    q = graph.node("Reshape", [q, graph.constant("probe_shape", np.array([-1, heads, hidden], np.int64))], f"{name}_probes")
    tokens = graph.node("Gather", [x, "idx"], f"{name}_tokens", axis=0)
    # The tokens stand on the left: onnxruntime chooses the order of a product's sums by the width of its right side, which would
    # otherwise be the longest text of the batch.
    products = graph.node("MatMul", [tokens, graph.node("Transpose", [q], f"{name}_turned", perm=[0, 2, 1])], f"{name}_products")
    scores = graph.node("Transpose", [products], f"{name}_scores", perm=[0, 2, 1])
    penalty = graph.node("Squeeze", [_penalty(graph), graph.constant("axis_2", np.array([2], np.int64))], f"{name}_penalty")
    shares = graph.node("Softmax", [graph.node("Add", [scores, penalty], f"{name}_masked")], f"{name}_shares", axis=-1)
    mean = graph.node("MatMul", [shares, tokens], f"{name}_mean")
    mean = graph.node("Unsqueeze", [mean, graph.constant("axis_2", np.array([2], np.int64))], f"{name}_means")
    apply = value.reshape(hidden, heads, width).transpose(1, 0, 2).astype(np.float32)
    context = graph.node("MatMul", [mean, graph.half(f"{name}_value", apply)], f"{name}_values")
    return graph.node("Add", [graph.flat(context, hidden), graph.constant(f"{name}_value_bias", biases[2])], f"{name}_context")


def _model(graph: _Graph, taps: Sequence[str], outputs: int) -> onnx.ModelProto:
    integer, long = TensorProto.INT32, TensorProto.INT64
    inputs = [
        helper.make_tensor_value_info(name, kind, shape)
        for name, kind, shape in (
            ("input_ids", integer, ["t"]),
            ("position_ids", integer, ["t"]),
            ("idx", long, ["b", "s"]),
            ("inv", long, ["t"]),
            ("mask", integer, ["b", "s"]),
            ("cls", long, ["b"]),
        )
    ]
    results = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", outputs])]
    results += [helper.make_tensor_value_info(tap, TensorProto.FLOAT, None) for tap in taps]
    made = helper.make_graph(graph.nodes, "flagstream-text", inputs, results, list(graph.constants.values()))
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(_MS, 1)], ir_version=9, producer_name="flagstream"
    )
