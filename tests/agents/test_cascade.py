"""The moderation agent with a first model before its model: what is flagged is flagged as ever, and what must not be cleared is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from agents.moderation import ModerationAgent
from models.bundle import ARTIFACTS, Bundle
from models.first import First
from models.text import TextClassifier
from schemas.codec import Malformed, RawRecord, decode
from schemas.message import Message
from schemas.policy import LabelRule, Policy
from stream import metrics
from stream.errors import UsageError
from stream.load import load_policy, moderation_agent
from stream.score import score_texts
from stream.settings import Settings
from tests.first_models import HARMLESS, bundle_with, by_hand

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
Records = Callable[[str, int], list[RawRecord]]


def _texts(records: Sequence[RawRecord]) -> dict[tuple[int, int], str]:
    read = ((raw.at.partition, raw.at.offset, decode(Message, raw)) for raw in records)
    return {(partition, offset): found.body.text for partition, offset, found in read if not isinstance(found, Malformed)}


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory, records: Records) -> Path:
    """A bundle whose first model clears half of the generated texts, whatever they say: some of those that would be flagged as well."""
    folder = bundle_with(tmp_path_factory.mktemp("cascade") / "moderation").folder
    model = TextClassifier.load(Bundle.open(folder))
    weights = np.random.default_rng(5).normal(0, 1, model.pieces).astype(np.float16).astype(np.float64)
    first = First(weights=weights, terms=by_hand(model).terms)
    line = float(np.median(first.doubts(*model.tokenise([*_texts(records("messages", 400)).values()]))))
    First(weights=weights, terms=first.terms.model_copy(update={"line": line})).put(Bundle.open(folder))
    return folder


def _agent(folder: Path, policy: Policy | None = None, **settings: object) -> ModerationAgent:
    chosen = Settings.model_validate({"models": folder, **settings})
    return moderation_agent(chosen, policy or load_policy(chosen))


def test_what_is_not_cleared_is_flagged_as_without_and_nothing_is_dropped(halved: Path, records: Records) -> None:
    many = records("messages", 400)
    texts = _texts(many)
    bundle = Bundle.open(halved)
    first, model = First.of(bundle), TextClassifier.load(bundle)
    assert first is not None
    doubts = first.doubts(*model.tokenise([*texts.values()]))
    cleared = {place for place, doubt in zip(texts, doubts, strict=True) if doubt < first.terms.line}
    without = _agent(halved).handle(many, at=NOW)
    agent = _agent(halved, cascade="on")
    counted, repeated = metrics.CLEARED._value.get(), metrics.REPEATED._value.get()
    found = agent.handle(many, at=NOW)
    expected = [flag for flag in without.flags if (flag.event.partition, flag.event.offset) not in cleared]
    assert list(found.flags) == expected
    assert 0 < len(expected) < len(without.flags)
    assert list(found.dead_letters) == list(without.dead_letters)
    assert metrics.CLEARED._value.get() - counted == len({texts[place] for place in cleared})
    # One by one: as in the batch, and no text is judged a second time.
    assert [flag for raw in many for flag in agent.handle([raw], at=NOW).flags] == expected
    assert metrics.CLEARED._value.get() - counted == len({texts[place] for place in cleared})
    assert metrics.REPEATED._value.get() - repeated == 2 * len(texts) - len({*texts.values()})


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(name="p", labels={"spam": LabelRule(review=0.19, severity="low")}), "spam from 0.19 on"),
        (Policy(name="p", labels={"harassment": LabelRule(review=0.9, severity="low")}), "harassment, which the first model was not fitted for"),
    ],
)
def test_it_clears_nothing_where_the_policy_goes_lower_than_it_was_fitted_for(
    tmp_path: Path, records: Records, policy: Policy, reason: str
) -> None:
    folder = bundle_with(tmp_path / "moderation", review={"spam": 0.2}).folder
    many, counted = records("messages", 60), metrics.CLEARED._value.get()
    with capture_logs() as logged:
        agent = _agent(folder, policy, cascade="on")
        found = agent.handle(many, at=NOW)
        agent.handle(many, at=NOW)
    assert [line["event"] for line in logged] == ["cascade.off"]
    assert reason in logged[0]["reason"]
    assert list(found.flags) == list(_agent(folder, policy).handle(many, at=NOW).flags)
    assert metrics.CLEARED._value.get() == counted


def test_off_is_the_default_and_a_bundle_without_a_first_model_says_so(records: Records, halved: Path, tmp_path: Path) -> None:
    counted = metrics.CLEARED._value.get()
    with capture_logs() as logged:
        _agent(halved).handle(records("messages", 60), at=NOW)
    assert (logged, metrics.CLEARED._value.get()) == ([], counted)
    if First.of(Bundle.open(ARTIFACTS / "moderation")) is None:
        with capture_logs() as logged:
            _agent(ARTIFACTS, cascade="on")
        assert logged[0]["reason"] == "the bundle has no first model"


def test_a_first_model_that_does_not_fit_is_an_error_before_the_first_record(tmp_path: Path) -> None:
    bundle = bundle_with(tmp_path / "moderation")
    first = First.of(bundle)
    assert first is not None
    First(weights=first.weights[:-1], terms=first.terms).put(bundle)
    with pytest.raises(UsageError, match="weights"):
        _agent(bundle.folder, cascade="on")


def test_scores_are_always_printed_in_full(tmp_path: Path) -> None:
    folder = bundle_with(tmp_path / "moderation").folder
    on, off = (score_texts(Settings.model_validate({"models": folder, "cascade": word}), HARMLESS) for word in ("on", "off"))
    assert on == off
    assert all(score > 0 for line in on for score in line["labels"].values())
