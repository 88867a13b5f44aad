"""What was written for this project, and what was said of texts of the data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("pandas")

from models.errors import ModelError
from models.train.text_annotations import annotated, digest
from models.train.text_data import _settled, key
from models.train.text_sources import HEADS, Cell
from models.train.text_written import written

pytestmark = pytest.mark.train


def _file(folder: Path, *rows: object, name: str = "topic.jsonl") -> Path:
    (folder / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), "utf-8")
    return folder


def test_a_written_text_decides_every_harm_that_is_not_unsure(tmp_path: Path) -> None:
    folder = _file(tmp_path, {"text": "you clown", "labels": ["harassment"], "unsure": ["profanity"]})
    (text,) = written(folder)
    assert {head for head, cell in text.cells.items() if cell.target == 1} == {"harassment", "toxic"}
    assert set(HEADS) - set(text.cells) == {"profanity"}


def test_slots_are_filled_differently_and_repeatably(tmp_path: Path) -> None:
    (text,) = written(_file(tmp_path, {"text": "a {person} and {name} met the {G}", "labels": []}))
    assert len(filled := text.filled(3, seed=1)) == 3
    assert filled == text.filled(3, seed=1)
    assert all("{" not in one for one in filled)


def test_texts_for_testing_are_in_files_of_their_own(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}", "labels": []} for number in range(100)]
    _file(tmp_path, *rows)
    _file(tmp_path, *rows[:3], name="test-topic.jsonl")
    splits = [text.split for text in written(tmp_path)]
    assert splits.count("test") == 3
    assert 0 < splits.count("valid") < splits.count("train")


@pytest.mark.parametrize("line", ["{", '{"text": "x"}', '{"text": "x", "labels": ["rude"]}', '{"text": "x", "labels": "hate"}', "[]"])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ModelError, match=r"topic\.jsonl:2"):
        list(written(_file(tmp_path, {"text": "x", "labels": []}, line)))


def test_what_is_packaged_can_be_read_and_no_test_text_is_trained_on() -> None:
    texts = list(written())
    by_split = {split: {key(text.text) for text in texts if text.split == split} for split in ("train", "valid", "test")}
    assert not by_split["test"] & (by_split["train"] | by_split["valid"])
    for text in texts:
        text.filled(1, seed=1)


def test_an_annotation_is_found_by_the_texts_key_and_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "annotations.tsv"
    file.write_text(f"{digest(key('You CLOWN!'))}\th,?p\n{digest(key('hello'))}\t-\n")
    found = annotated(file)
    assert found[digest(key("you clown"))]["harassment"].target == 1
    assert "profanity" not in found[digest(key("you clown"))]
    assert all(cell.target == 0 for cell in found[digest(key("hello"))].values())
    file.write_text("abc\tq\n")
    with pytest.raises(ModelError, match=r"annotations\.tsv:1"):
        annotated(file)


def test_a_data_sets_annotators_outrank_us_and_we_outrank_rules() -> None:
    mine = {"hate": Cell(target=1.0), "sexual": Cell(target=0.0, weight=0.2)}
    said = {"hate": Cell(target=0.0), "sexual": Cell(target=1.0), "spam": Cell(target=0.0)}
    settled = _settled(mine, said)
    assert settled["hate"].target == 1
    assert settled["sexual"].target == 1
    assert settled["spam"].target == 0
