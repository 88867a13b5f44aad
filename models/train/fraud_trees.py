"""Gradient-boosted trees: fitted by LightGBM, written as one ONNX tree ensemble, and shown to score the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from models.errors import ModelError
from models.session import open_session
from models.train.fraud_settings import Trees

MAX_DIFFERENCE = 2e-5
"""Largest difference in log-odds that ONNX may show; the sums of float32 leaves differ by less."""


def fit(
    rows: NDArray[np.float32], fraud: NDArray[np.int8], trees: Trees, *, hideable: Sequence[int] = (), threads: int = 1
) -> lightgbm.Booster:
    """The trees of [n, features] rows and n labels; log loss, so the output is close to calibrated.

    `trees.legitimate_share` of the legitimate rows stand for all of them. `trees.hidden_share` of the rows are learned a second time
    with the `hideable` columns unknown: one model then serves with and without what those need."""
    chance = np.random.default_rng(trees.seed)
    kept = np.flatnonzero((fraud == 1) | (chance.random(len(fraud)) < trees.legitimate_share))
    used, truth = rows[kept], fraud[kept]
    if hideable:
        again = chance.random(len(kept)) < trees.hidden_share
        blind = used[again]
        blind[:, list(hideable)] = np.nan
        used, truth = np.concatenate([used, blind]), np.concatenate([truth, truth[again]])
    weights = np.where(truth == 1, 1.0, 1.0 / trees.legitimate_share)
    parameters = {
        "objective": "binary", "num_leaves": trees.leaves, "learning_rate": trees.learning_rate,
        "min_data_in_leaf": trees.min_rows_in_leaf, "bagging_fraction": trees.rows_share, "bagging_freq": 1,
        "feature_fraction": trees.features_share, "lambda_l2": trees.l2, "seed": trees.seed, "num_threads": threads,
        "verbose": -1, "deterministic": True, "force_row_wise": True,
    }
    return lightgbm.train(parameters, lightgbm.Dataset(used, truth, weight=weights), num_boost_round=trees.rounds)


def log_odds(booster: lightgbm.Booster, rows: NDArray[np.float32], *, threads: int = 1) -> NDArray[np.float64]:
    """LightGBM's own log-odds of [n, features] rows."""
    return np.asarray(booster.predict(rows, raw_score=True, num_threads=threads), np.float64)


def write_onnx(booster: lightgbm.Booster, path: Path) -> None:
    """The trees as ONNX: input `features` [n, features] float32 with NaN for unknown, output `log_odds` [n, 1]."""
    model = booster.dump_model()
    attributes: dict[str, list[Any]] = {name: [] for name in (
        "nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values", "nodes_truenodeids",
        "nodes_falsenodeids", "nodes_missing_value_tracks_true", "target_treeids", "target_nodeids", "target_ids", "target_weights",
    )}  # fmt: skip
    for tree in model["tree_info"]:
        for number, node, yes, no in _numbered(tree["tree_structure"]):
            leaf = "leaf_value" in node
            value = (
                tree["tree_index"], number, 0 if leaf else node["split_feature"], "LEAF" if leaf else "BRANCH_LEQ",
                0.0 if leaf else _down(node["threshold"]), yes, no, 0 if leaf else int(_missing_left(node)),
            )
            for name, part in zip(list(attributes)[:8], value, strict=True):
                attributes[name].append(part)
            if leaf:
                for name, part in zip(list(attributes)[8:], (tree["tree_index"], number, 0, node["leaf_value"]), strict=True):
                    attributes[name].append(part)
    settings: dict[str, Any] = {"n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE", **attributes}
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["log_odds"], "trees", domain="ai.onnx.ml", **settings)
    graph = helper.make_graph(
        [node], "trees",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, booster.num_feature()])],
        [helper.make_tensor_value_info("log_odds", TensorProto.FLOAT, [None, 1])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="flagstream"), path)


def verify(booster: lightgbm.Booster, path: Path, rows: NDArray[np.float32]) -> float:
    """The largest difference in log-odds between LightGBM and the ONNX file on `rows`. Raises `ModelError` above the bound."""
    found = open_session(path).run(None, {"features": rows})[0][:, 0]
    difference = float(np.abs(found - log_odds(booster, rows)).max())
    if difference > MAX_DIFFERENCE:
        raise ModelError(f"{path}: ONNX scores differ from LightGBM's by {difference:.2g}")
    return difference


def _numbered(root: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], int, int]]:
    """(number, node, number of its left child, of its right child), the root first."""
    queue, free = [(0, root)], 1
    for number, node in queue:
        if "leaf_value" in node:
            yield number, node, 0, 0
            continue
        queue += [(free, node["left_child"]), (free + 1, node["right_child"])]
        yield number, node, free, free + 1
        free += 2


def _down(threshold: float) -> float:
    """The largest float32 that is not above `threshold`: a float32 value is below the one as it is below the other."""
    # LightGBM's threshold is the largest float64 where a split only asks whether the value is known.
    rounded = np.float32(np.clip(threshold, np.finfo(np.float32).min, np.finfo(np.float32).max))
    # float(): NumPy would round `threshold` as well before it compares.
    return float(np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > threshold else rounded)


def _missing_left(node: dict[str, Any]) -> bool:
    """Whether NaN goes left. A split that saw no NaN in training takes it for zero (LightGBM's `missing_type` None)."""
    return bool(node["default_left"]) if node["missing_type"] == "NaN" else node["threshold"] >= 0.0
