"""A replay with a first model before the model: the flags of a worker that runs so, and thresholds only where all was scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.first import First
from models.text import TextClassifier
from schemas.codec import RawRecord
from stream.errors import UsageError
from stream.load import load_policy, moderation_agent
from stream.replay.policies import SCORE_ALL, diff_policies, fit_policy, read_policy, to_toml
from stream.replay.request import Manifest, Request
from stream.replay.run import replay
from stream.settings import Settings
from tests.first_models import HARMLESS, REVIEW, bundle_with

RUDE = "you are a pathetic idiot"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a first model that clears the texts of `HARMLESS`, and one that the model would flag."""
    bundle = bundle_with(tmp_path / "moderation")
    first, model = First.of(bundle), TextClassifier.load(bundle)
    assert first is not None
    weights = first.weights.copy()
    (ids, *_), _ = model.tokenise([RUDE])
    weights[ids] = -0.1
    First(weights=weights, terms=first.terms).put(bundle)
    return Settings(models=bundle.folder, cascade="on")


@pytest.fixture
def request_(tmp_path: Path, kit: Any) -> Request:
    texts = [*HARMLESS, RUDE, "i will find you and kill you tonight", "win a free prize now, click http://spam.example and pay"]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(kit.message(number, text)) + "\n" for number, text in enumerate(texts)))
    return Request(file=path, kind="message", folder=tmp_path / "run", processes=1, flags=tmp_path / "flags.jsonl")


def test_it_gives_the_flags_of_a_worker_and_says_what_is_missing(settings: Settings, request_: Request, kit: Any) -> None:
    summary = replay(settings, request_)
    assert (summary.results.count, summary.to_json()["dead_letters"]) == (10, 0)
    assert any("the first model cleared" in gap for gap in summary.to_json()["gaps"])
    assert request_.flags is not None
    flagged = {flag.event.id: (flag.id, flag.labels) for flag in kit.flags_of(request_.flags)}
    assert request_.file is not None
    events = [kit.record(json.loads(line), offset=number) for number, line in enumerate(request_.file.read_text().splitlines())]
    for word in ("on", "off"):
        live = _flags(settings.model_copy(update={"cascade": word}), events, kit)
        assert (live == flagged) == (word == "on")
        assert ("m7" in live) == (word == "off")
    assert flagged


def _flags(settings: Settings, events: list[RawRecord], kit: Any) -> dict[str, Any]:
    outcome = moderation_agent(settings, load_policy(settings)).handle(events, at=kit.START)
    return {flag.event.id: (flag.id, flag.labels) for flag in outcome.flags}


def test_thresholds_are_fitted_and_compared_only_where_texts_were_scored(settings: Settings, request_: Request, tmp_path: Path) -> None:
    results = replay(settings, request_).results
    assert dict(Manifest.load(results.folder).floors) == REVIEW
    with pytest.raises(UsageError, match=f"cannot be fitted to it; {SCORE_ALL}"):
        fit_policy(settings, ["200 reviews a day"], run=results.folder)
    base = load_policy(settings)
    assert diff_policies(base, base, run=results.folder).effect is not None
    low = base.model_copy(update={"labels": base.labels | {"spam": base.labels["spam"].model_copy(update={"review": 0.1})}})
    with pytest.raises(UsageError, match=r"flags spam from 0\.1 on.*FLAGSTREAM_CASCADE=off"):
        diff_policies(base, low, run=results.folder)


def test_beside_a_policy_that_goes_lower_all_texts_are_scored(settings: Settings, request_: Request, tmp_path: Path) -> None:
    base = load_policy(settings)
    low = base.model_copy(update={"labels": base.labels | {"spam": base.labels["spam"].model_copy(update={"review": 0.1})}})
    path = tmp_path / "low.toml"
    path.write_text(to_toml(low))
    assert read_policy(path) == low
    results = replay(settings, replace(request_, against=str(path))).results
    assert not Manifest.load(results.folder).floors
    assert not results.manifest.gaps


def test_a_run_is_not_resumed_with_the_other_setting(settings: Settings, request_: Request) -> None:
    replay(settings, request_)
    with pytest.raises(UsageError, match="start anew without --resume"):
        replay(settings.model_copy(update={"cascade": "off"}), replace(request_, resume=True))
