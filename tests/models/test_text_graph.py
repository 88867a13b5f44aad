"""The written graph computes what the trained network computes, in int8 within a bound and independent of the batch."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from models import ragged
from models.session import open_session

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.train
IDS = [[1, *np.random.default_rng(size).integers(5, 90, size).tolist(), 2] for size in (1, 3, 30, 7, 62, 2, 11, 40)]


@pytest.fixture(scope="module", params=["gelu", "relu"])
def network(request: pytest.FixtureRequest) -> Any:
    import transformers

    library: Any = transformers  # its constructors are not annotated

    torch.manual_seed(0)
    config = library.BertConfig(
        vocab_size=90,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        num_labels=5,
        max_position_embeddings=64,
        attn_implementation="eager",
        initializer_range=0.2,
        hidden_act=request.param,
    )
    return library.BertForSequenceClassification(config).eval()


def _session(network: Any, *, int8: bool) -> Any:
    from models.train.text_export import Range, build

    make = partial(build, network.state_dict(), layers=2, heads=4, columns=(0, 2, 3), activation=network.config.hidden_act)
    ranges = None
    if int8:
        model, taps = make(ranges=None)
        values = open_session(model.SerializeToString()).run(list(taps), ragged.feed(IDS))
        ranges = {tap: Range(min(0.0, float(value.min())), max(0.0, float(value.max()))) for tap, value in zip(taps, values, strict=True)}
    model, _ = make(ranges=ranges)
    return open_session(model.SerializeToString())


def test_the_ragged_float_graph_agrees_with_the_library(network: Any) -> None:
    found = ragged.run(_session(network, int8=False), IDS, token_budget=64)
    for ids, row in zip(IDS, found, strict=True):
        with torch.inference_mode():
            expected = network(input_ids=torch.tensor([ids])).logits[0].numpy()
        # float16 constants of the last layer and the pooler are the only difference.
        assert np.abs(row - expected[[0, 2, 3]]).max() < 5e-3


def test_the_training_pass_agrees_with_the_library(network: Any) -> None:
    from models.train.text_network import logits

    found = logits(network, IDS, batch=3)
    for ids, row in zip(IDS, found, strict=True):
        with torch.inference_mode():
            assert np.abs(row - network(input_ids=torch.tensor([ids])).logits[0].numpy()).max() < 1e-4


def test_int8_stays_near_float_and_does_not_depend_on_the_batch(network: Any) -> None:
    exact = ragged.run(_session(network, int8=False), IDS, token_budget=64)
    session = _session(network, int8=True)
    together = ragged.run(session, IDS, token_budget=512)
    alone = np.concatenate([ragged.run(session, [ids], token_budget=512) for ids in IDS])
    assert np.abs(together - exact).max() < 0.1 * np.abs(exact).max()
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("budget", [1, 20, 100, 10_000])
def test_groups_hold_every_text_once_and_keep_the_budget(budget: int) -> None:
    lengths = np.array([len(ids) for ids in IDS])
    found = list(ragged.groups(lengths, token_budget=budget))
    assert sorted(np.concatenate(found).tolist()) == list(range(len(IDS)))
    assert all(len(group) == 1 or lengths[group].sum() <= budget for group in found)
