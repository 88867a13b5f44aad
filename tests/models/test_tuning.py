"""Tuning the packaged classifier: what the verdicts teach is learnt, what they do not say stays, and what is worse is refused."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import ARTIFACTS, Bundle, file_sha256
from models.card import Calibration
from models.first import First
from models.text import TextClassifier
from models.tuning.encoder import Heads, graph_with, heads_of, vectors
from models.tuning.errors import NotBetter, TuningError
from models.tuning.fit import Task, candidates, dealt, head
from models.tuning.gate import Sentence, read_sentences
from models.tuning.tune import Tuned, _card, tune
from models.tuning.verdicts import MAX_CHARS, Verdicts, gather
from models.tuning.write import write
from schemas.labels import MESSAGE_LABELS
from tests.first_models import bundle_with

THRESHOLDS = {"spam": 0.3, "harassment": 0.7}
GUILD = [f"{who} {what} {when}" for who, what, when in itertools.product(
    ("guild needs healers,", "raid group forming,", "clan looks for tanks,", "party wants one mage,"),
    ("join us", "come to the tower", "whisper me", "sign the list"),
    ("tonight", "at nine", "before the reset", "on sunday", "right now"),
)]  # fmt: skip
"""What the game's players call spam, and the model does not."""
CHAT = [f"{who} {what} {when}" for who, what, when in itertools.product(
    ("my sister", "the teacher", "our neighbour", "the doctor"),
    ("baked a cake", "called me", "missed the bus", "reads a book"),
    ("tonight", "at nine", "before lunch", "on sunday", "right now"),
)]  # fmt: skip


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(ARTIFACTS / "moderation")


def _lines(label: str, sides: Mapping[str, list[str]]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = [{"text": text, "label": label, "outcome": outcome} for outcome, texts in sides.items() for text in texts]
    random.Random(0).shuffle(rows)
    return iter(enumerate(rows, start=1))


def _spam() -> Verdicts:
    return gather(_lines("spam", {"confirmed": GUILD, "overturned": CHAT}))


def _tune(bundle: Bundle, verdicts: Verdicts, out: Path) -> Tuned:
    # Half of these verdicts are confirmed, which is not how a chat looks.
    return tune(bundle, verdicts, out, thresholds=THRESHOLDS, sentences=read_sentences(), created="2026-11-23", prevalence=0.1)


@pytest.fixture(scope="module")
def tuned(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return _tune(bundle, _spam(), tmp_path_factory.mktemp("tuned") / "bundle")


def test_what_the_verdicts_teach_is_learnt_and_the_card_says_how_well(tuned: Tuned, bundle: Bundle) -> None:
    (spam,) = tuned.tuning.labels
    assert spam.change == "head"
    assert spam.before is not None
    assert spam.after is not None
    assert spam.after.values["log_loss"] < spam.before.values["log_loss"]
    low, high = spam.after.intervals["auc"]
    assert low <= spam.after.values["auc"] <= high
    assert (spam.confirmed, spam.overturned, spam.held_out) == (80, 80, 40)
    assert spam.right_after >= 0.8 * spam.sentences > 0
    opened = Bundle.open(tuned.folder)
    assert opened.digest == tuned.digest != bundle.digest
    assert opened.card.tuning[-1] == tuned.tuning
    assert opened.card.tuning[-1].origin == bundle.digest
    model = TextClassifier.load(opened)
    scores = model.score(["clan wants healers, join us after dinner", "the teacher missed a book at nine"])
    spammy, plain = scores[:, model.labels.index("spam")]
    assert spammy > 0.2 > plain, "on either side of the threshold of the default policy"


def test_a_first_model_of_the_heads_before_is_left_behind(bundle: Bundle, tuned: Tuned, tmp_path: Path) -> None:
    before = bundle_with(tmp_path / "with")
    after = write(_card(before.card, before.card.outputs, tuned.tuning), before, before.model.read_bytes(), tmp_path / "tuned")
    assert First.of(after) is None
    assert {path.name for path in after.folder.iterdir()} == {"card.json", "model.onnx", "tokenizer.json"}


def test_the_other_labels_score_as_before(tuned: Tuned, bundle: Bundle) -> None:
    before, after = TextClassifier.load(bundle), TextClassifier.load(Bundle.open(tuned.folder))
    texts = [*(one.text for one in read_sentences()[::5]), GUILD[0]]
    others = [column for column, label in enumerate(before.labels) if label != "spam"]
    assert np.abs(before.score(texts) - after.score(texts))[:, others].max() < 1e-6


def test_a_tuned_model_scores_a_text_alike_alone_and_in_a_batch(tuned: Tuned) -> None:
    model = TextClassifier.load(Bundle.open(tuned.folder))
    texts = [one.text for one in read_sentences()[::9]]
    assert np.abs(model.score(texts) - np.concatenate([model.score([text]) for text in texts])).max() <= 0.002


def test_the_same_verdicts_in_another_order_give_the_same_bundle(tuned: Tuned, bundle: Bundle, tmp_path: Path) -> None:
    rows = [row for _, row in _lines("spam", {"confirmed": GUILD, "overturned": CHAT})]
    again = _tune(bundle, gather(enumerate(reversed(rows))), tmp_path / "again")
    assert again.digest == tuned.digest


def test_nothing_tuned_is_nothing_changed(bundle: Bundle) -> None:
    assert graph_with(bundle, heads_of(bundle)) == bundle.model.read_bytes()


def test_the_vectors_give_the_logits_that_are_served(bundle: Bundle) -> None:
    texts = ["see you at six", "you are an idiot " * 200, ""]
    read, heads = vectors(bundle, texts, threads=1), heads_of(bundle)
    served = TextClassifier.load(bundle).logits(texts)
    for column in range(served.shape[1]):
        telling = read.telling(heads.weight[:, column].astype(np.float64), float(heads.bias[column]))
        assert np.abs(read.pooled[telling] @ heads.weight[:, column] + heads.bias[column] - served[:, column]).max() < 1e-4


def test_verdicts_that_contradict_the_packaged_sentences_are_refused_and_nothing_is_written(bundle: Bundle, tmp_path: Path) -> None:
    harm = [one.text for one in read_sentences() if one.label == "harassment" and one.expected]
    fine = [one.text for one in read_sentences() if one.label == "harassment" and not one.expected]
    endings = ("", " today", ", again")
    sides = {"confirmed": [text + end for text in fine for end in endings], "overturned": [text + end for text in harm for end in endings]}
    with pytest.raises(NotBetter, match="packaged"):
        _tune(bundle, gather(_lines("harassment", sides)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def _without(bundle: Bundle, label: str, out: Path) -> Bundle:
    """The bundle as if the label had never been trained."""
    kept = [at for at, output in enumerate(bundle.card.outputs) if output.label != label]
    heads = heads_of(bundle)
    card = bundle.card.model_copy(update={"outputs": tuple(bundle.card.outputs[at] for at in kept)})
    return write(card, bundle, graph_with(bundle, Heads(heads.weight[:, kept], heads.bias[kept])), out)


def test_a_label_that_is_not_shipped_gets_a_head_where_verdicts_support_it(bundle: Bundle, tmp_path: Path) -> None:
    bundle = _without(bundle, "scam", tmp_path / "without")
    assert "scam" not in [output.label for output in bundle.card.outputs]
    cons = [f"{who} {what} {how}" for who, what, how in itertools.product(
        ("your account is locked,", "this is the tax office,", "you won the lottery,", "your parcel is held,"),
        ("pay the fee", "send us your password", "buy gift cards", "verify your card"),
        ("within 24 hours", "at this link", "or you will be arrested", "to receive your money"),
    )]  # fmt: skip
    made = _tune(bundle, gather(_lines("scam", {"confirmed": cons, "overturned": CHAT})), tmp_path / "out")
    opened = Bundle.open(made.folder)
    assert [output.label for output in opened.card.outputs] == [*(output.label for output in bundle.card.outputs), "scam"]
    assert "scam" not in [one.label for one in opened.card.withheld]
    assert "no rule" in made.tuning.labels[0].note
    scores = TextClassifier.load(opened).score([cons[0], CHAT[0]])[:, -1]
    assert scores[0] > 0.5 > scores[1]


def test_a_bundle_is_never_written_over(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TuningError, match="there already"):
        _tune(bundle, _spam(), tmp_path)


def _line(**changed: object) -> dict[str, Any]:
    return {"text": "a text", "label": "spam", "outcome": "confirmed"} | changed


def test_lines_that_cannot_be_used_are_counted_by_reason() -> None:
    rows: list[Mapping[str, Any] | None] = [
        None, {}, _line(text=3), _line(outcome="maybe"), _line(outcome="fraud"), _line(text=" \n"), _line(text="a" * (MAX_CHARS + 1)),
        _line(), _line(), _line(text="A  TEXT".replace("  ", " ")), _line(text="torn"), _line(text="torn", outcome="overturned"),
    ]  # fmt: skip
    found = gather(enumerate(rows, start=1))
    assert [example.text for example in found.examples] == ["a text"]
    assert found.lines == len(rows)
    assert found.skipped == {
        "not a JSON object": 1, "without text, label and outcome": 2, "outcome other than confirmed or overturned": 2, "empty text": 1,
        f"longer than {MAX_CHARS:,} characters": 1, "repeated": 3, "contradicting": 1,
    }  # fmt: skip


@pytest.mark.parametrize("label", ["toxic", "fraud", "", "Spam", "x" * 500])
def test_a_label_that_messages_do_not_have_is_an_error_that_names_the_line_and_those_there_are(label: str) -> None:
    with pytest.raises(TuningError, match=r"line 2: .* known: harassment, ") as caught:
        gather([(1, _line()), (2, _line(label=label))])
    assert len(str(caught.value)) < 300


@settings(deadline=None)
@given(st.lists(st.none() | st.dictionaries(st.sampled_from(["text", "outcome"]), st.text(max_size=20) | st.none() | st.integers()), max_size=20))
def test_any_lines_give_examples_or_counts(rows: list[dict[str, Any] | None]) -> None:
    found = gather(enumerate({**row, "label": "spam"} if row else row for row in rows))
    assert len(found.examples) + sum(found.skipped.values()) >= len(rows)


def test_verdicts_of_one_outcome_or_too_few_are_refused_with_their_numbers(bundle: Bundle, tmp_path: Path) -> None:
    one_sided = gather(_lines("spam", {"confirmed": GUILD}))
    with pytest.raises(TuningError, match="spam 80 confirmed and 0 overturned"):
        _tune(bundle, one_sided, tmp_path / "out")
    with pytest.raises(TuningError, match="usable ones: none; left out: 1 not a JSON object"):
        _tune(bundle, gather([(1, None)]), tmp_path / "out")


def _task(truth: Any, pooled: Any) -> Task:
    return Task(pooled=pooled, truth=truth, counts=np.ones(len(truth)), weight=np.zeros(pooled.shape[1]), bias=0.0, anchors=pooled[:0])


def test_a_head_held_strongly_stays_where_it_was_and_one_held_less_fits_better() -> None:
    rng = np.random.default_rng(0)
    pooled = rng.normal(size=(200, 10))
    truth = pooled[:, 0] + 0.5 * rng.normal(size=200) > 0
    task = _task(truth, pooled)
    distances = [float(np.linalg.norm(head(task, strength)[0])) for strength in (1e6, 100.0, 1.0)]
    assert distances[0] < 1e-3 < distances[1] < distances[2]


def test_verdicts_without_a_pattern_change_nothing_but_the_calibration() -> None:
    rng = np.random.default_rng(1)
    task = _task(np.arange(300) % 3 == 0, rng.normal(size=(300, 20)))
    assert [one.change for one in candidates(task, Calibration())] in ([], ["calibration"])


def test_both_outcomes_are_held_out_in_the_same_share() -> None:
    truth = np.array([True] * 40 + [False] * 20)
    held = dealt(truth, every=4)
    assert (held[truth].sum(), held[~truth].sum()) == (10, 5)


def test_the_packaged_sentences_have_both_sides_of_every_label() -> None:
    sentences = read_sentences()
    for label in MESSAGE_LABELS:
        sides = [one.expected for one in sentences if one.label == label]
        assert min(sides.count(True), sides.count(False)) >= 10
    assert len({one.text for one in sentences}) == len(sentences)


@pytest.mark.parametrize("line", ["{", "[]", '{"text": "a", "label": "spam"}', '{"text": "a", "label": "spam", "expected": "maybe"}', '{"text": 1, "label": "spam", "expected": "flag"}'])
def test_sentences_that_cannot_be_read_are_an_error_with_their_place(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sentences.jsonl"
    path.write_text(json.dumps({"text": "a", "label": "spam", "expected": "flag"}) + "\n" + line + "\n")
    with pytest.raises(TuningError, match=r"sentences\.jsonl: (line 2|cannot be read)"):
        read_sentences(path)
    assert Sentence(text="a", label="spam", expected=True) == read_sentences()[0].model_copy(update={"text": "a", "label": "spam", "expected": True})


def test_the_files_of_a_tuned_bundle_have_the_digests_of_its_card(tuned: Tuned) -> None:
    opened = Bundle.open(tuned.folder)
    assert {path.name for path in tuned.folder.iterdir()} == {"card.json", *opened.card.files}
    assert all(file_sha256(tuned.folder / name) == digest for name, digest in opened.card.files.items())
