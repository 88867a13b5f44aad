"""The edits of an ONNX file: nothing changes but what is named, and what is no ONNX file is an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import ragged
from models.bundle import ARTIFACTS
from models.errors import BundleError
from models.graph_bytes import tensor, with_output, with_tensor
from models.session import open_session

IDS = [[2, 5, 6, 7, 3], [2, 9, 3]]


@pytest.fixture(scope="module")
def model() -> bytes:
    return (ARTIFACTS / "moderation" / "model.onnx").read_bytes()


def test_a_constant_put_back_leaves_the_file_as_it_was(model: bytes) -> None:
    for name in ("out_w", "out_b"):
        assert with_tensor(model, name, tensor(model, name)) == model


def test_the_pooled_vector_comes_out_and_the_logits_stay_the_same(model: bytes) -> None:
    weight, bias = tensor(model, "out_w"), tensor(model, "out_b")
    session = open_session(with_output(model, "pooled", weight.shape[0]))
    pooled = ragged.run(session, IDS, token_budget=256, output="pooled")
    logits = ragged.run(session, IDS, token_budget=256)
    assert np.array_equal(logits, ragged.run(open_session(model), IDS, token_budget=256))
    assert np.abs(pooled @ weight + bias - logits).max() < 1e-4


def test_a_head_more_is_a_column_more_and_the_others_stay_the_same(model: bytes) -> None:
    weight, bias = tensor(model, "out_w"), tensor(model, "out_b")
    wider = with_tensor(model, "out_w", np.concatenate([weight, weight[:, :1]], 1))
    wider = with_output(with_tensor(wider, "out_b", np.append(bias, np.float32(7))), "logits", len(bias) + 1)
    session = open_session(wider)
    assert session.get_outputs()[0].shape[1] == len(bias) + 1
    found, before = ragged.run(session, IDS, token_budget=256), ragged.run(open_session(model), IDS, token_budget=256)
    assert np.abs(found[:, :-1] - before).max() < 1e-4
    assert np.abs(found[:, -1] - before[:, 0] - 7 + bias[0]).max() < 1e-4


def test_a_constant_that_is_not_there_is_an_error(model: bytes) -> None:
    with pytest.raises(BundleError, match="no constant 'elsewhere'"):
        tensor(model, "elsewhere")
    with pytest.raises(BundleError, match="cannot be tuned"):
        tensor(model, "words_8")


@settings(deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda inner: b"\x3a" + bytes([len(inner)]) + inner))
def test_bytes_of_any_kind_are_an_error_of_one_kind(raw: bytes) -> None:
    with pytest.raises(BundleError):
        tensor(raw, "out_w")
