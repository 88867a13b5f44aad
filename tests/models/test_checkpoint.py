"""A user's own BERT classifier: its bundle scores as it does, what cannot be expressed or loses too much is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import Bundle
from models.calibration import sigmoid
from models.text import TextClassifier
from stream.bench.scorers.transformers_pipeline import config_of

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.train
WORDS = ["see", "you", "at", "six", "the", "meeting", "is", "late", "an", "idiot", "lovely", "cake", "free", "prize", "bus", "home"]
TEXTS = [" ".join(np.random.default_rng(number).choice(WORDS, 3 + number % 9)) for number in range(120)]


def _checkpoint(folder: Path, *, outputs: tuple[str, ...] = ("toxic", "obscene"), multi: bool = True, width: int = 48, **changed: Any) -> Path:
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    library: Any = transformers  # its constructors are not annotated
    torch.manual_seed(3)
    vocabulary = {piece: number for number, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    tokenizer: Any = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    from tokenizers.processors import BertProcessing

    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(enumerate(outputs))
    config = library.BertConfig(
        vocab_size=len(vocabulary), hidden_size=width, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, initializer_range=0.15, id2label=names, label2id={name: number for number, name in names.items()},
        problem_type="multi_label_classification" if multi else "single_label_classification",
    )  # fmt: skip
    library.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    if changed:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return folder


def _exact(folder: Path, texts: list[str]) -> Any:
    from models.train.checkpoint import read
    from models.train.text_network import pad

    model, tokenizer = read(folder)
    tokens, mask = pad([encoding.ids for encoding in tokenizer.encode_batch(texts)])
    with torch.inference_mode():
        return model(input_ids=tokens, attention_mask=mask).logits.numpy()


def _quantize(folder: Path, out: Path, **mapping: str) -> Any:
    from models.train.checkpoint import quantize

    return quantize(folder, TEXTS, out, mapping=mapping, created="2026-11-23", licence="Apache-2.0")


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_the_bundle_scores_as_the_checkpoint_does(tmp_path: Path, activation: str) -> None:
    folder = _checkpoint(tmp_path / "mine", hidden_act=activation)
    losses = _quantize(folder, tmp_path / "out", profanity="obscene", harassment="toxic")
    assert [loss.label for loss in losses] == ["profanity", "harassment"]
    assert all(loss.texts == 30 and loss.mean <= 0.02 for loss in losses)
    model = TextClassifier.load(Bundle.open(tmp_path / "out"))
    assert model.labels == ("profanity", "harassment")
    exact = sigmoid(_exact(folder, TEXTS)[:, [1, 0]])
    assert np.abs(model.score(TEXTS) - exact).mean() < 0.02
    assert exact.std() > 0.03, "a checkpoint that says the same of everything would agree with anything"
    shape = config_of(Bundle.open(tmp_path / "out"))
    assert (shape.num_hidden_layers, shape.num_attention_heads, shape.hidden_act) == (2, 4, activation), "the benchmark's peer is like it"


def test_of_two_outputs_that_exclude_each_other_the_label_gets_the_softmax(tmp_path: Path) -> None:
    folder = _checkpoint(tmp_path / "mine", outputs=("fine", "spam"), multi=False)
    _quantize(folder, tmp_path / "out")
    logits = _exact(folder, TEXTS)
    expected = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    found = TextClassifier.load(Bundle.open(tmp_path / "out")).score(TEXTS)[:, 0]
    assert np.abs(found - expected).mean() < 0.02


@pytest.mark.parametrize(
    ("changed", "mapping", "told"),
    [
        ({"model_type": "roberta"}, {"harassment": "toxic"}, "only BERT"),
        ({"hidden_act": "silu"}, {"harassment": "toxic"}, "hidden_act must be gelu or relu"),
        ({}, {}, "--map"),
        ({}, {"harassment": "rude"}, "no such output"),
        ({}, {"rudeness": "toxic"}, "is no label"),
        ({"problem_type": None, "id2label": {"0": "a", "1": "b", "2": "c"}}, {"spam": "a"}, "exclude each other|cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(tmp_path: Path, changed: dict[str, Any], mapping: dict[str, str], told: str) -> None:
    from models.train.checkpoint import CheckpointError

    folder = _checkpoint(tmp_path / "mine", **changed)
    with pytest.raises(CheckpointError, match=told):
        _quantize(folder, tmp_path / "out", **mapping)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_checkpoint_and_too_few_texts_are_errors(tmp_path: Path) -> None:
    from models.train.checkpoint import CheckpointError, quantize

    with pytest.raises(CheckpointError, match="no checkpoint"):
        _quantize(tmp_path, tmp_path / "out")
    folder = _checkpoint(tmp_path / "mine")
    with pytest.raises(CheckpointError, match="40 are needed"):
        quantize(folder, TEXTS[:20], tmp_path / "out", mapping={"spam": "toxic"}, created="x", licence="x")


def test_a_checkpoint_that_loses_too_much_is_refused_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.train import checkpoint

    folder = _checkpoint(tmp_path / "mine")
    monkeypatch.setattr(checkpoint, "MEAN_ALLOWED", 0.0)
    with pytest.raises(checkpoint.CheckpointError, match="loses too much"):
        _quantize(folder, tmp_path / "out", spam="toxic")
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}


def test_a_run_can_start_from_a_checkpoint(tmp_path: Path) -> None:
    from models.train.checkpoint import as_run, is_checkpoint
    from models.train.text_network import built, logits

    folder = _checkpoint(tmp_path / "mine", outputs=("spam", "obscene"))
    run = as_run(folder, tmp_path / "run", outputs=("harassment", "spam"))
    assert is_checkpoint(folder)
    assert not is_checkpoint(run)
    network = built(json.loads((run / "encoder.json").read_text()))
    network.load_state_dict(torch.load(run / "weights.pt", weights_only=True))
    ids = [[2, 5, 6, 3], [2, 9, 10, 11, 3]]
    from models.train.text_network import pad

    tokens, mask = pad(ids)
    from models.train.checkpoint import read

    with torch.inference_mode():
        expected = read(folder)[0](input_ids=tokens, attention_mask=mask).logits.numpy()
    found = logits(network, ids)
    assert found.shape == (2, 2)
    assert np.abs(found[:, 1] - expected[:, 0]).max() < 1e-4, "the output of the same name is taken over"
    assert np.load(run / "kept.npy").tolist() == list(range(20))
