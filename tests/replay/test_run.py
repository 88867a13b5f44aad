"""The whole command on a file, with the model that comes with the program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.bundle import ARTIFACTS
from schemas.policy import LabelRule, Policy
from stream.errors import UsageError
from stream.replay.policies import fit_policy, to_toml
from stream.replay.request import Request
from stream.replay.run import replay
from stream.settings import Settings, load


@pytest.fixture(scope="module")
def history(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,500 transactions of 15 cards over two weeks, some far above what their cards usually spend."""
    path = tmp_path_factory.mktemp("history") / "in.jsonl"
    with path.open("w") as file:
        for number in range(1_500):
            amount = 95_000 + number if number % 60 == 59 else 1_500 + (number * 37) % 2_000
            file.write(json.dumps(kit.transaction(number, amount, card=number % 15, tenant="t" if number % 2 else None)) + "\n")
    return path


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verdicts") / "verdicts.jsonl"
    with path.open("w") as file:
        for number in range(0, 1_500, 2):
            fraud = number % 60 == 58 or number % 60 == 59
            said = {"id": f"v{number}", "event_id": f"t{number + 1}", "label": "fraud", "outcome": "fraud" if fraud else "legitimate"}
            file.write(json.dumps(said | {"source": "test", "occurred_at": "2026-02-01T00:00:00Z"}) + "\n")
    return path


def settings(folder: Path, review: float) -> tuple[Settings, Path]:
    path = folder / f"policy-{review}.toml"
    path.write_text(to_toml(Policy(name=f"at {review}", labels={"fraud": LabelRule(review=review, block=0.95, severity="high")})))
    return load({"policy": path}, environ={}), path


def request(history: Path, folder: Path, **more: Any) -> Request:
    return Request(file=history, kind="transaction", folder=folder, processes=1, **more)


def test_a_policy_is_compared_judged_and_reported_in_one_go(history: Path, verdicts: Path, tmp_path: Path) -> None:
    here, _ = settings(tmp_path, 0.05)
    _, stricter = settings(tmp_path, 0.9)
    asked = request(history, tmp_path / "run", against=str(stricter), verdicts=str(verdicts), report=tmp_path / "out.html")
    found = replay(here, asked).to_json()
    json.dumps(found)
    assert found["events"] == 1_500
    assert found["newly_flagged"] > 0
    assert found["newly_cleared"] == 0
    assert found["against"]["moved"]["gained_true"] > 0
    assert found["quality"]["labels"]["fraud"]["known"] == 750
    assert found["return"]["prevented"] > 0
    assert "Should I ship it?" in (tmp_path / "out.html").read_text()


def test_a_model_against_itself_changes_nothing(history: Path, tmp_path: Path) -> None:
    here, _ = settings(tmp_path, 0.05)
    found = replay(here, request(history, tmp_path / "run", against=str(ARTIFACTS / "fraud"))).to_json()
    assert (found["newly_flagged"], found["newly_cleared"], found["changed"]) == (0, 0, 0)
    assert found["against"]["same"] == 1_500
    assert found["flags"] > 0


def test_a_fitted_policy_replayed_keeps_what_it_promised(history: Path, tmp_path: Path) -> None:
    here, _ = settings(tmp_path, 0.05)
    replay(here, request(history, tmp_path / "run"))
    fitted = fit_policy(here, ["2 reviews a day"], run=tmp_path / "run", out=tmp_path / "fitted.toml")
    again = replay(load({"policy": tmp_path / "fitted.toml"}, environ={}), request(history, tmp_path / "again")).to_json()
    days = 1_499 * 13 / 1_440
    assert again["policy"] == fitted.policy.digest
    assert again["decisions"].get("review", 0) <= 2 * days
    assert fitted.promises["2 reviews a day"].value == pytest.approx(again["decisions"].get("review", 0) / days, rel=0.02)


def test_amounts_are_in_their_own_currency_and_several_are_not_added_up(kit: Any, verdicts: Path, tmp_path: Path) -> None:
    here, _ = settings(tmp_path, 0.0)
    found = {}
    for name, currencies in {"yen": ("JPY",), "both": ("JPY", "EUR")}.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(
            json.dumps(kit.transaction(number, 1_000, card=number % 5, currency=currencies[number % len(currencies)])) + "\n"
            for number in range(120)
        ))
        found[name] = replay(here, request(path, tmp_path / name, verdicts=str(verdicts))).to_json()
    fraud = sum(1 for number in range(1, 120, 2) if (number - 1) % 60 in (58, 59))
    assert fraud > 0
    assert (found["yen"]["return"]["currency"], found["yen"]["return"]["prevented"]) == ("JPY", 1_000.0 * fraud)
    assert (found["both"]["return"]["currency"], found["both"]["return"]["prevented"]) == (None, None)
    assert "Amounts are in 2 currencies (EUR, JPY), so that money is not added up." in found["both"]["ship"]["reasons"]
    with pytest.raises(UsageError, match="amounts in EUR, JPY cannot be added up"):
        fit_policy(here, ["a review costs 2"], run=tmp_path / "both")
    assert fit_policy(here, ["a review costs 2"], run=tmp_path / "yen").promises["a review costs 2"].name == "cost a day"


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"against": "nothing"}, "neither a policy file"),
        ({"verdicts": "none.jsonl"}, "no such file"),
        ({"against": str(ARTIFACTS / "moderation")}, "is for messages, but the history holds transactions"),
        ({"model": Path("nowhere")}, "no model bundle"),
        ({"against": "flags"}, "no broker"),
        ({"to": "flags"}, "never to a live one"),
        ({"topic": "messages"}, "either a topic"),
    ],
)
def test_mistakes_are_told_before_anything_is_judged(more: dict[str, Any], complaint: str, history: Path, tmp_path: Path) -> None:
    here, _ = settings(tmp_path, 0.5)
    with pytest.raises(UsageError, match=complaint):
        replay(here, request(history, tmp_path / "run", **more))
    assert not (tmp_path / "run").exists()
