"""`flagstream tune` and `quantize` as commands: a bundle that the other commands take, or one line and an exit code."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from models.bundle import ARTIFACTS, Bundle
from tests.conftest import Run

HARM = [f"{a} {b} {c}" for a, b, c in product(("guild needs", "clan looks for", "party wants"), ("healers", "tanks", "mages"), ("join us", "whisper me", "sign up"))]
FINE = [f"{a} {b} {c}" for a, b, c in product(("my sister", "the teacher", "our doctor"), ("baked a cake", "missed the bus", "reads"), ("tonight", "at nine", "again"))]


def _write(path: Path, label: str, confirmed: list[str], overturned: list[str], *more: str) -> Path:
    rows = [{"text": text, "label": label, "outcome": "confirmed"} for text in confirmed]
    rows += [{"text": text, "label": label, "outcome": "overturned"} for text in overturned]
    path.write_text("\n".join([*(json.dumps(row) for row in rows), *more]) + "\n")
    return path


def test_a_tuned_bundle_is_written_and_taken_by_the_other_commands(run: Run, tmp_path: Path) -> None:
    labels = _write(tmp_path / "labels.jsonl", "spam", HARM, FINE, "not json", '{"text": "a"}')
    code, out, error = run("tune", "--labels", str(labels), "--prevalence", "0.05", "--json")
    assert code == 0, error
    told = json.loads(out)
    assert told["examples"] == len(HARM) + len(FINE)
    assert told["skipped"] == {"not a JSON object": 1, "without text, label and outcome": 1}
    assert told["origin"] == Bundle.open(ARTIFACTS / "moderation").digest
    code, out, error = run("score", "--models", "tuned", "--json", HARM[0], FINE[0])
    assert code == 0, error
    spam = [json.loads(line)["labels"]["spam"] for line in out.splitlines()]
    assert spam[0] > spam[1]
    code, out, _ = run("models", "list", "--models", "tuned", "--json")
    assert [row["digest"] for row in json.loads(out)] == [told["digest"]]
    # The bundle stands in for the one of its name; the others are those that come with the program.
    code, out, error = run("models", "card", "fraud", "--models", "tuned")
    assert code == 0, error
    code, _, error = run("tune", "--labels", str(labels), "--prevalence", "0.05")
    assert code == 2
    assert "there already" in error


def test_worse_is_one_line_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    sentences = [json.loads(line) for line in (Path(ARTIFACTS).parent / "tuning" / "sentences.jsonl").read_text().splitlines()]
    sides: dict[str, list[str]] = {"flag": [], "clear": []}
    for one in sentences:
        if one["label"] == "profanity":
            sides[one["expected"]] += [one["text"], one["text"] + " again"]
    labels = _write(tmp_path / "labels.jsonl", "profanity", sides["clear"], sides["flag"])
    code, out, error = run("tune", "--labels", str(labels))
    assert (code, out) == (1, "")
    assert "nothing was written" in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "usable ones: none"),
        ("nonsense\n", "left out: 1 not a JSON object"),
        ('{"text": "a", "label": "rude", "outcome": "confirmed"}\n', "line 1: 'rude' is no label"),
        ('{"text": "a", "label": "spam", "outcome": "confirmed"}\n', "spam 1 confirmed and 0 overturned"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_2(run: Run, tmp_path: Path, content: str | None, told: str) -> None:
    path = tmp_path / "labels.jsonl"
    if content is not None:
        path.write_text(content)
    code, out, error = run("tune", "--labels", str(path))
    assert (code, out) == (2, "")
    assert told in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.train
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("missing", "--map", "spam=x"), "no folder there"),
        ((".", "--map", "spam"), "--map 'spam'"),
        ((".", "--map", "spam=a", "--map", "spam=b"), "--map 'spam=b'"),
        ((".", "--map", "spam=a"), "no checkpoint"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_one_line(run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    code, out, error = run("quantize", *arguments, "--texts", "texts.jsonl")
    assert code in (1, 2)
    assert out == ""
    assert told in error
    assert len(error.strip().splitlines()) == 1
