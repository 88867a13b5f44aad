"""The first model of a bundle: a doubt that is the text's own, texts cleared that are not read, and all others scored as ever."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.bundle import ARTIFACTS, Bundle, file_sha256
from models.errors import BundleError
from models.first import FILE, PARAMETER, Cascade, First, refusal
from models.text import TextClassifier
from schemas.policy import LabelRule, Policy
from tests.first_models import HARMLESS, REVIEW, bundle_with, by_hand

RUDE = ("you are a pathetic idiot", "subscribe to my channel http://spam.example", "I will find you and kill you")
_TEXTS = st.lists(st.sampled_from([*HARMLESS, *RUDE, "", "cake " * 400, "see you " * 300 + RUDE[0], "straße 東京 \ud800"]), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return TextClassifier.load(Bundle.open(ARTIFACTS / "moderation"))


@pytest.fixture(scope="module")
def first(classifier: TextClassifier) -> First:
    # Weights of all sizes, so that sums in another order would round differently in float32.
    made = by_hand(classifier)
    weights = np.random.default_rng(3).normal(0, 1, classifier.pieces) * 10.0 ** np.random.default_rng(4).integers(-4, 4, classifier.pieces)
    return First(weights=weights.astype(np.float16).astype(np.float64), terms=made.terms)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=_TEXTS, seed=st.integers(0, 99))
def test_a_doubt_is_the_same_alone_in_any_batch_and_in_any_order(classifier: TextClassifier, first: First, texts: list[str], seed: int) -> None:
    together = first.doubts(*classifier.tokenise(texts))
    assert np.array_equal(together, np.concatenate([first.doubts(*classifier.tokenise([text])) for text in texts]))
    order = np.random.default_rng(seed).permutation(len(texts))
    assert np.array_equal(first.doubts(*classifier.tokenise([texts[place] for place in order])), together[order])


def test_a_doubt_sums_each_piece_of_all_windows_once(classifier: TextClassifier, first: First) -> None:
    text = " ".join(f"cake {number} tea" for number in range(200))
    windows, _ = classifier.tokenise([text])
    assert len(windows) > 1
    pieces = {piece for window in windows for piece in window}
    expected = sum(float(first.weights[piece]) for piece in sorted(pieces)) / np.sqrt(len(pieces)) + first.terms.intercept
    assert first.doubts(*classifier.tokenise([HARMLESS[0], text]))[1] == expected


def test_cleared_texts_get_zeros_unread_and_all_others_their_very_scores(classifier: TextClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    from models import ragged

    texts = [*HARMLESS, *RUDE, "see you " * 300, "see you " * 300 + RUDE[0]]
    left = [len(HARMLESS), len(HARMLESS) + 1, len(HARMLESS) + 2, len(texts) - 1]
    full = classifier.score(texts)
    read: list[int] = []
    run = ragged.run

    def counted(session: object, ids: Sequence[Sequence[int]], **options: int) -> NDArray[np.float32]:
        read.append(len(ids))
        return run(session, ids, **options)  # type: ignore[arg-type]  # the session of the classifier

    monkeypatch.setattr(ragged, "run", counted)
    told: list[int] = []
    cascade = Cascade(classifier, by_hand(classifier), tell=told.append)
    scores = cascade.score(texts)
    assert np.array_equal(scores[left], full[left])
    assert not scores[[place for place in range(len(texts)) if place not in left]].any()
    assert told == [len(texts) - len(left)]
    assert read == [3 + len(classifier.tokenise([texts[-1]])[0])]
    assert not cascade.score(HARMLESS).any()
    assert len(read) == 1
    assert cascade.score([]).shape == (0, len(classifier.labels))


def test_a_harm_at_the_end_of_a_long_text_is_not_cleared(classifier: TextClassifier) -> None:
    first = by_hand(classifier)
    for text in ("see you at five " * 200 + RUDE[0], RUDE[0] + " see you at five" * 200):
        assert len(classifier.tokenise([text])[0]) > 1
        assert first.doubts(*classifier.tokenise([text]))[0] >= first.terms.line


def test_a_bundle_carries_it_and_its_digest_tells(tmp_path: Path) -> None:
    shipped = Bundle.open(ARTIFACTS / "moderation")
    bundle = bundle_with(tmp_path / "bundle")
    again = First.of(bundle)
    assert again is not None
    made = by_hand(TextClassifier.load(bundle))
    assert np.array_equal(again.weights, made.weights.astype(np.float16).astype(np.float64))
    assert again.terms == made.terms
    assert bundle.digest != shipped.digest
    assert FILE in bundle.card.files
    assert bundle.digest == again.put(bundle).digest
    texts = [*HARMLESS, *RUDE]
    assert np.array_equal(TextClassifier.load(bundle).score(texts), TextClassifier.load(shipped).score(texts))


def test_a_bundle_without_one_loads_as_ever(tmp_path: Path) -> None:
    assert First.of(Bundle.open(ARTIFACTS / "fraud")) is None


def _resigned(folder: Path) -> Bundle:
    """The bundle with the digest of whatever lies there as first model."""
    card = json.loads((folder / "card.json").read_text())
    card["files"][FILE] = file_sha256(folder / FILE)
    (folder / "card.json").write_text(json.dumps(card))
    return Bundle.open(folder)


def test_an_altered_or_missing_file_is_refused_when_the_bundle_is_opened(tmp_path: Path) -> None:
    path = bundle_with(tmp_path / "bundle").folder / FILE
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"first\.npy: altered or damaged"):
        Bundle.open(path.parent)
    path.unlink()
    with pytest.raises(BundleError, match=r"cannot read first\.npy"):
        Bundle.open(path.parent)


@pytest.mark.parametrize(
    "weights",
    [np.zeros(8, np.float32), np.zeros((2, 2), np.float16), np.array([np.nan], np.float16), np.array([{}], object), b"", b"\x93NUMPY\x01"],
    ids=["float32", "two axes", "nan", "objects", "empty", "cut off"],
)
def test_what_is_no_table_of_weights_is_refused(tmp_path: Path, weights: NDArray[np.generic] | bytes) -> None:
    folder = bundle_with(tmp_path / "bundle").folder
    if isinstance(weights, bytes):
        (folder / FILE).write_bytes(weights)
    else:
        np.save(folder / FILE, weights)
    with pytest.raises(BundleError, match="no weights of a first model"):
        First.of(_resigned(folder))


def test_a_table_for_another_tokenizer_is_refused(tmp_path: Path, classifier: TextClassifier) -> None:
    folder = bundle_with(tmp_path / "bundle").folder
    np.save(folder / FILE, np.zeros(7, np.float16))
    first = First.of(_resigned(folder))
    assert first is not None
    with pytest.raises(BundleError, match=f"7 weights, the tokenizer {classifier.pieces}"):
        Cascade(classifier, first)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"line": None}, "line"), ({"review": {}}, "review"), ({"review": {"spam": 0.0}}, "review"), ({"slope": 2.0}, "slope"), (None, "lacks 'first'")],
)
def test_a_card_that_does_not_say_what_it_was_fitted_for_is_refused(tmp_path: Path, change: dict[str, object] | None, message: str) -> None:
    path = bundle_with(tmp_path / "bundle").folder / "card.json"
    card = json.loads(path.read_text())
    if change is None:
        del card["parameters"][PARAMETER]
    else:
        card["parameters"][PARAMETER] |= change
    path.write_text(json.dumps(card))
    with pytest.raises(BundleError, match=message):
        First.of(Bundle.open(path.parent))


def test_it_refuses_lower_thresholds_and_labels_that_it_was_not_fitted_for() -> None:
    def policy(**review: float) -> Policy:
        return Policy(name="ours", labels={label: LabelRule(review=at, severity="low") for label, at in review.items()})

    labels = [*REVIEW]
    assert refusal(REVIEW, policy(**REVIEW, fraud=0.01), labels) == ""
    assert refusal(REVIEW, policy(spam=0.9), labels) == ""
    assert "spam from 0.19 on, and the first model was fitted for 0.2" in refusal(REVIEW, policy(**REVIEW | {"spam": 0.19}), labels)
    assert "flags scam, which" in refusal({"spam": 0.2}, policy(spam=0.5, scam=0.9), labels)
    assert refusal({"spam": 0.2}, policy(spam=0.5, scam=0.9), ["spam"]) == ""
