"""Transactions judged without Kafka, by the shipped fraud model."""

from __future__ import annotations

import io
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import ModelError
from models.features import vector
from models.ledger import Ledger
from schemas.policy import LabelRule, Policy
from schemas.transaction import Transaction
from stream.mapping import FieldMap
from stream.score import Scored, TransactionLines, score_file
from stream.settings import load

START = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(name="test", labels={"fraud": LabelRule(review=0.003, block=0.007, severity="high")})


class Told:
    """A model whose answer is one feature, squeezed into [0, 1]; it sees both sides."""

    def __init__(self, feature: str) -> None:
        self.features = (feature,)
        self.vector = vector(self.features, source="test")
        self.batches: list[int] = []

    def score(self, rows: Any) -> Any:
        self.batches.append(len(rows))
        return np.nan_to_num(rows[:, 0] / 1000, nan=0.0).astype(np.float32)


def transaction(number: int, *, hours: float, card: str = "c", **more: Any) -> dict[str, Any]:
    return {
        "id": f"t{number}", "occurred_at": (START + timedelta(hours=hours)).isoformat(), "account_id": card, "amount_minor": 1000 + number,
        "currency": "EUR", "terminal_id": f"p{number % 3}", **more,
    }  # fmt: skip


def answers(tmp_path: Path, model: Any, rows: list[Any], verdicts: list[Any] | None = None) -> tuple[list[dict[str, Any]], Scored]:
    source, truth = tmp_path / "t.jsonl", tmp_path / "v.jsonl"
    source.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    truth.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in verdicts or []))
    tally = Scored()
    lines = TransactionLines(model, POLICY).lines(source, truth if verdicts is not None else None, fields=FieldMap({}, {}), tally=tally)
    return list(lines), tally


def test_state_is_built_on_the_way_and_lines_have_the_four_fields(tmp_path: Path) -> None:
    found, _ = answers(tmp_path, Told("card_count_1d"), [transaction(number, hours=number) for number in range(9)])
    assert found[0] == {"id": "t0", "fraud": 0.0, "risk_score": 0, "decision": "allow"}
    assert [line["fraud"] for line in found] == pytest.approx([number / 1000 for number in range(9)])
    assert [line["decision"] for line in found] == ["allow"] * 3 + ["review"] * 4 + ["block"] * 2


def test_transactions_are_taken_in_time_order_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [transaction(number, hours=number) for number in range(40)]
    in_order, _ = answers(tmp_path, Told("card_count_7d"), rows)
    random.Random(3).shuffle(rows)
    assert answers(tmp_path, Told("card_count_7d"), rows)[0] == in_order


def test_what_cannot_be_read_gives_an_error_in_its_place(tmp_path: Path) -> None:
    rows = [transaction(0, hours=0), "nonsense", transaction(1, hours=1, amount_minor=-5), {"id": "x"}, transaction(2, hours=2)]
    found, _ = answers(tmp_path, Told("card_count_1d"), rows)
    assert [line["id"] for line in found] == ["t0", "2", "t1", "x", "t2"]
    assert [line.get("error", "")[:12] for line in found] == ["", "not JSON", "amount_minor", "occurred_at:", ""]


def verdict(event: str, *, hours: float, outcome: str = "fraud", **more: Any) -> dict[str, Any]:
    return {
        "id": f"v{event}{hours}", "event_id": event, "label": "fraud", "outcome": outcome, "source": "chargeback",
        "occurred_at": (START + timedelta(hours=hours)).isoformat(), **more,
    }  # fmt: skip


def test_a_verdict_takes_effect_at_its_own_time(tmp_path: Path) -> None:
    model = Told("terminal_frauds_30d")
    rows = [transaction(number, hours=24 * number, terminal_id="p") for number in range(10)]
    without, _ = answers(tmp_path, model, rows)
    with_one, tally = answers(tmp_path, model, rows, [verdict("t1", hours=24 * 5 - 1)])
    changed = [line["id"] for line, other in zip(with_one, without, strict=True) if line != other]
    assert changed
    assert changed[0] == "t5"
    assert (tally.verdicts, tally.verdicts_unused) == (1, 0)


def test_a_verdict_that_says_nothing_about_any_transaction_is_counted(tmp_path: Path) -> None:
    rows = [transaction(number, hours=number) for number in range(5)]
    given = [
        verdict("nobody", hours=1), verdict("t1", hours=2, label="spam", outcome="confirmed"), "broken", verdict("t1", hours=99),
        verdict("t1", hours=3, outcome="confirmed"), verdict("t1", hours=3.5, outcome="overturned"),
    ]  # fmt: skip
    _, tally = answers(tmp_path, Told("card_count_1d"), rows, given)
    assert (tally.verdicts, tally.verdicts_unused) == (2, 4)


def test_batches_are_a_few_hundred_and_change_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Told("card_count_30d")
    rows = [transaction(number, hours=number, card=f"c{number % 7}") for number in range(1_100)]
    found, _ = answers(tmp_path, model, rows)
    assert model.batches == [512, 512, 76]
    monkeypatch.setattr("stream.score.BATCH", 7)
    assert answers(tmp_path, model, rows)[0] == found


def test_the_shipped_model_answers_as_the_ledger_says(tmp_path: Path) -> None:
    settings = load(environ={})
    rows = [transaction(number, hours=number * 3, amount_minor=900 + number * 17 % 400) for number in range(30)]
    rows.append(transaction(30, hours=91, amount_minor=95_000))
    source = tmp_path / "t.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    out = io.StringIO()
    try:
        tally = score_file(settings, source, out, kind="transaction")
    except ModelError as error:  # pragma: no cover
        pytest.fail(str(error))
    assert (tally.lines, tally.errors) == (31, 0)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    from stream.load import fraud_model

    model = fraud_model(settings)[1]
    ledger = Ledger(model.vector, terminals=False)
    for row, line in zip(rows, found, strict=True):
        body = Transaction.model_validate(row)
        expected = float(model.score(np.array([ledger.see(body)], np.float32))[0])
        assert line["fraud"] == pytest.approx(expected, abs=1e-6)
        assert line["risk_score"] == int(line["fraud"] * 100)
    assert found[-1]["fraud"] > 10 * found[-2]["fraud"], "an amount a hundred times the usual stands out"


def test_a_table_is_scored_like_lines(tmp_path: Path) -> None:
    rows = [transaction(number, hours=number) for number in range(5)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in reversed(rows))]))
    tally = Scored()
    model: Any = Told("card_count_1d")
    found = list(TransactionLines(model, POLICY).lines(table, None, fields=FieldMap({}, {}), tally=tally))
    assert found == answers(tmp_path, Told("card_count_1d"), rows)[0]
