"""The packaged classifier: the same score for a text alone and among others, total on any strings, bounded on long ones."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.bundle import ARTIFACTS, Bundle
from models.errors import BundleError
from models.text import TextClassifier

_WORDS = [
    "the",
    "you",
    "are",
    "idiot",
    "lovely",
    "kill",
    "people",
    "meeting",
    "free",
    "prize",
    "click",
    "here",
    "myself",
    "die",
    "stupid",
    "thanks",
    "tomorrow",
    "bitch",
    "friend",
    "muslims",
    "cake",
]
_TEXTS = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(_WORDS), max_size=160).map(" ".join))


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return TextClassifier.load(Bundle.open(ARTIFACTS / "moderation"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(_TEXTS, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_a_text_has_the_same_score_alone_and_in_any_batch(classifier: TextClassifier, texts: list[str], seed: int) -> None:
    together = classifier.score(texts)
    alone = np.concatenate([classifier.score([text]) for text in texts])
    assert np.array_equal(together, alone)
    order = np.random.default_rng(seed).permutation(len(texts))
    shuffled = classifier.score([texts[position] for position in order])
    assert np.array_equal(shuffled, together[order])
    assert ((together >= 0) & (together <= 1)).all()


def test_the_longest_text_beside_it_does_not_change_a_score(classifier: TextClassifier) -> None:
    # A product's sums may be ordered by the width of the batch, which int8 then turns into other scores: one text in a thousand.
    texts = [" ".join(np.random.default_rng(seed).choice(_WORDS, 12)) for seed in range(400)]
    alone = np.concatenate([classifier.score([text]) for text in texts])
    for words in (1, 28, 60, 120):
        beside = [classifier.score([*texts[start : start + 8], "cake " * words])[:-1] for start in range(0, len(texts), 8)]
        assert np.array_equal(np.concatenate(beside), alone), words


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "\u200b" * 50, "😀" * 300, "a" * 5_000, "𝕏", "[CLS] [SEP] [PAD]", "नमस्ते", "\n" * 1_000]
)
def test_any_string_has_finite_probabilities(classifier: TextClassifier, text: str) -> None:
    scores = classifier.score([text, "hello"])
    assert scores.shape == (2, len(classifier.labels))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_no_texts_give_no_rows(classifier: TextClassifier) -> None:
    assert classifier.score([]).shape == (0, len(classifier.labels))


def test_abuse_scores_above_its_harmless_neighbour(classifier: TextClassifier) -> None:
    pairs = {
        "harassment": ("you are a pathetic idiot and nobody likes you", "you are a lovely person and everybody likes you"),
        "spam": (
            "Congratulations! You won a FREE prize, call now or text WIN to 80086 to claim",
            "are we still meeting at the station at six?",
        ),
        "profanity": ("what the fuck is this shit", "what on earth is this thing"),
    }
    for label, (harm, harmless) in pairs.items():
        if label in classifier.labels:
            column = classifier.labels.index(label)
            worse, better = classifier.score([harm, harmless])[:, column]
            assert worse > 0.5 > better, label


def test_abuse_is_found_at_either_end_of_a_long_text(classifier: TextClassifier) -> None:
    abuse = "shut up you stupid fucking bitch, you are a pathetic idiot and nobody likes you."
    filler = "the meeting about the garden is on tuesday and we will bring cake for everybody. "
    column = classifier.labels.index("harassment")
    plain, first, last, middle = classifier.score(
        [filler * 40, abuse + " " + filler * 40, filler * 40 + abuse, filler * 20 + abuse + " " + filler * 20]
    )[:, column]
    assert min(first, last, middle) > 0.5 > plain


@pytest.mark.parametrize("unit", ["a", "word ", "\ufdfa", "fuck you ", "ш", "1a!"])
def test_a_megabyte_costs_little(classifier: TextClassifier, unit: str) -> None:
    text = (unit * (1_000_000 // len(unit)))[:1_000_000]
    began = time.thread_time()
    classifier.score([text])
    # A second is twenty times what it takes; without the bounds it would be minutes.
    assert time.thread_time() - began < 3.0


def _altered(folder: Path, tmp_path: Path, **parameters: object) -> Path:
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    card = json.loads((copy / "card.json").read_text())
    card["parameters"] |= parameters
    (copy / "card.json").write_text(json.dumps(card))
    return copy


def test_a_bundle_for_another_normaliser_is_refused(tmp_path: Path) -> None:
    folder = _altered(ARTIFACTS / "moderation", tmp_path, normaliser="0" * 16)
    with pytest.raises(BundleError, match="normaliser"):
        TextClassifier.load(Bundle.open(folder))


def test_a_card_with_fewer_outputs_than_the_graph_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(ARTIFACTS / "moderation", copy)
    card = json.loads((copy / "card.json").read_text())
    card["outputs"] = card["outputs"][:-1]
    (copy / "card.json").write_text(json.dumps(card))
    with pytest.raises(BundleError, match="outputs"):
        TextClassifier.load(Bundle.open(copy))
