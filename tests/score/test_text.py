"""Texts judged without Kafka."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.moderation import ModerationAgent
from schemas.codec import Position, RawRecord
from schemas.flag import Provenance
from schemas.policy import LabelRule, Policy
from stream import score
from stream.errors import UsageError
from stream.rows import Row, json_lines
from stream.score import TextLines, score_file
from stream.settings import load

POLICY = Policy(
    name="test",
    labels={
        "spam": LabelRule(review=0.5, block=0.9, severity="low"),
        "hate": LabelRule(review=0.5, block=None, severity="high"),
    },
)


class Lengths:
    """A model that can be foretold: spam is a tenth of the length, hate says itself; a text with a bang breaks it."""

    labels = ("spam", "hate", "profanity")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.batches.append(len(texts))
        if any("!" in text for text in texts):
            raise RuntimeError
        return np.array([[min(1.0, len(text) / 10), float("hate" in text), 0.25] for text in texts], np.float32).reshape(-1, 3)


def answers(rows: Sequence[Row], model: Lengths | None = None) -> list[dict[str, Any]]:
    return list(TextLines(model or Lengths(), POLICY, tier="t").lines(iter(rows), file="f"))


def texts(*given_texts: str) -> list[Row]:
    return [Row(number, None, {"text": text}) for number, text in enumerate(given_texts, start=1)]


def test_a_line_has_every_labels_probability_the_decision_and_the_reasons() -> None:
    assert answers(texts("hey", "hate this", "0123456789")) == [
        {"id": "1", "labels": {"spam": 0.3, "hate": 0.0, "profanity": 0.25}, "decision": "allow", "reasons": []},
        {
            "id": "2", "labels": {"spam": 0.9, "hate": 1.0, "profanity": 0.25}, "decision": "block",
            "reasons": [
                {"code": "message.hate", "text": "hate 1.00, threshold 0.50"},
                {"code": "message.spam", "text": "spam 0.90, threshold 0.50"},
            ],
        },
        {
            "id": "3", "labels": {"spam": 1.0, "hate": 0.0, "profanity": 0.25}, "decision": "block",
            "reasons": [{"code": "message.spam", "text": "spam 1.00, threshold 0.50"}],
        },
    ]  # fmt: skip


def test_a_row_that_cannot_be_judged_gives_an_error_and_the_others_go_on() -> None:
    rows = [
        Row(1, b"{", None, "not JSON"), Row(2, b"", {"id": "b", "words": 1}), Row(3, b"", {"id": "c", "text": "breaks!"}),
        Row(4, b"", {"id": "d", "text": None}), Row(5, b"", {"id": "e", "text": "fine"}),
    ]  # fmt: skip
    found = answers(rows)
    assert [(line["id"], line.get("error")) for line in found] == [
        ("1", "not JSON"), ("b", "text: Field required"), ("c", "cannot be scored"), ("d", "text: Field required"), ("e", None),
    ]  # fmt: skip


def test_ids_come_back_as_they_were() -> None:
    rows = [Row(1, b"", {"id": 7, "text": "a"}), Row(2, b"", {"id": "x", "text": "a"}), Row(3, b"", {"id": None, "text": "a"})]
    assert [line["id"] for line in answers(rows)] == [7, "x", "3"]


def test_texts_are_scored_in_batches_of_a_few_hundred_and_once_each() -> None:
    model = Lengths()
    assert len(answers(texts(*("a" * (number % 9) for number in range(1_200))), model)) == 1_200
    assert model.batches == [512, 512, 176]


@given(st.lists(st.text(), max_size=20))
def test_the_decision_is_that_of_the_live_agent(given_texts: list[str]) -> None:
    agent = ModerationAgent(Lengths(), POLICY, Provenance(model="m", policy="p"), tier="t")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for line, text in zip(answers(texts(*given_texts)), given_texts, strict=True):
        try:
            value = json.dumps({"id": "i", "occurred_at": 0, "user_id": "u", "text": text}).encode()
        except UnicodeEncodeError:
            continue
        outcome = agent.handle([RawRecord(Position("messages", 0, 0), None, value, 0)], at=now)
        if "error" in line:
            assert outcome.dead_letters
        else:
            assert line["decision"] == (outcome.flags[0].decision if outcome.flags else "allow")


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_give_one_json_line_each(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    file = tmp_path_factory.mktemp("any") / "x.jsonl"
    kept = [line for line in (one.replace(b"\n", b"").replace(b"\r", b"") for one in lines) if line.strip()]
    file.write_bytes(b"\n".join(kept))
    rows = list(json_lines(file))
    found = answers(rows)
    assert len(found) == len(rows)
    assert all("error" in line or line["decision"] for line in found)


def test_a_file_is_answered_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score, "text_scorer", lambda _: TextLines(Lengths(), POLICY, tier="t"))
    file = tmp_path / "in.jsonl"
    file.write_text('{"id": "a", "text": "hello"}\nbroken\n\n{"text": "hate"}\n')
    out = io.StringIO()
    tally = score_file(load(environ={}), file, out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["id"] for line in lines] == ["a", "2", "4"]
    assert (tally.lines, tally.errors) == (3, 1)
    assert lines[1] == {"id": "2", "error": "not JSON"}


def test_verdicts_go_with_transactions_only(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--verdicts"):
        score_file(load(environ={}), tmp_path / "x", io.StringIO(), verdicts=tmp_path / "v")
