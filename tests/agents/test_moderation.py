"""The moderation agent over the shipped model: what holds whatever comes in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from agents.moderation import ModerationAgent
from models.bundle import ARTIFACTS, Bundle
from models.spans import SpanFinder
from models.text import TextClassifier
from schemas.codec import Position, RawRecord
from schemas.flag import Provenance
from schemas.policy import LabelRule, Policy
from stream.load import load_policy, moderation_agent
from stream.settings import Settings

NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)
Records = Callable[[str, int], list[RawRecord]]


def _raw(value: bytes | None, offset: int = 0) -> RawRecord:
    return RawRecord(Position("messages", 0, offset), b"u", value, 1_795_000_000_000)


def _message(text: str, offset: int = 0) -> RawRecord:
    body = {"id": str(offset), "occurred_at": "2026-11-23T12:00:00Z", "user_id": "u", "text": text}
    return _raw(json.dumps(body).encode("utf-8", "surrogatepass"), offset)


def test_a_batch_gives_what_its_records_give_alone(records: Records, moderation: ModerationAgent) -> None:
    many = records("messages", 300)
    together = moderation.handle(many, at=NOW)
    alone = [moderation.handle([raw], at=NOW) for raw in many]
    assert list(together.flags) == [flag for outcome in alone for flag in outcome.flags] != []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary() | st.none() | st.text().map(lambda text: json.dumps(text).encode()), max_size=4))
def test_bytes_of_any_kind_become_flags_or_dead_letters(moderation: ModerationAgent, values: list[bytes | None]) -> None:
    outcome = moderation.handle([_raw(value, offset) for offset, value in enumerate(values)], at=NOW)
    assert len(outcome.dead_letters) + len(outcome.flags) <= len(values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=8, max_size=300))
def test_flags_never_carry_the_text(moderation: ModerationAgent, text: str) -> None:
    for flag in moderation.handle([_message("you stupid pathetic idiot, I hate you " + text)], at=NOW).flags:
        assert "pathetic" not in flag.model_dump_json()


class _Touchy:
    """A scorer that fails on some texts: what a model or its tokenizer might do."""

    labels = ("spam",)

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if any("poison" in text for text in texts):
            raise RuntimeError("the text was: " + texts[0])
        return np.array([[np.nan if "nan" in text else 0.9] for text in texts], np.float32)


def test_only_the_poison_record_becomes_a_dead_letter_and_its_reason_does_not_quote_it() -> None:
    policy = Policy(name="p", labels={"spam": LabelRule(review=0.5, severity="low")})
    agent = ModerationAgent(_Touchy(), policy, Provenance(model="m", policy="p"), tier="t")
    outcome = agent.handle([_message("fine", 0), _message("poison", 1), _message("good", 2), _message("nan", 3)], at=NOW)
    assert [flag.event.offset for flag in outcome.flags] == [0, 2]
    assert {letter.offset: letter.error_class for letter in outcome.dead_letters} == {1: "RuntimeError", 3: "NotFinite"}
    assert all("poison" not in letter.error_text for letter in outcome.dead_letters)


def test_only_flagged_messages_are_explained_and_their_reasons_say_where(records: Records, moderation: ModerationAgent) -> None:
    model = TextClassifier.load(Bundle.open(ARTIFACTS / "moderation"))
    find = SpanFinder(model, parts=16)
    explained: list[str] = []

    def explain(flagged: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Mapping[str, tuple[int, int]]]:
        explained.extend(text for text, _ in flagged)
        return find(flagged)

    policy = load_policy(Settings())
    agent = ModerationAgent(model, policy, Provenance(model="m", policy="p"), tier="t", explain=explain)
    texts = ["see you at six", "you are a pathetic idiot", "thanks, lovely cake"]
    (flag,) = agent.handle([_message(text, offset) for offset, text in enumerate(texts)], at=NOW).flags
    assert explained == [texts[1]]
    start, end = next(reason.span for reason in flag.reasons if reason.code == "message.harassment") or (0, 0)
    assert "idiot" in texts[1][start:end]


def test_a_flag_is_the_same_with_and_without_spans(records: Records, moderation: ModerationAgent) -> None:
    settings = Settings(explain=0)
    plain = moderation_agent(settings, load_policy(settings))
    many = records("messages", 200)
    explained = moderation.handle(many, at=NOW).flags
    assert any(reason.span for flag in explained for reason in flag.reasons)
    stripped = [
        flag.model_copy(update={"reasons": tuple(reason.model_copy(update={"span": None}) for reason in flag.reasons)}) for flag in explained
    ]
    assert list(plain.handle(many, at=NOW).flags) == stripped


def test_a_failing_explainer_costs_the_span_of_its_text_and_no_flag() -> None:
    def explain(flagged: Sequence[tuple[str, Sequence[str]]]) -> Sequence[Mapping[str, tuple[int, int]]]:
        if any("odd" in text for text, _ in flagged):
            raise RuntimeError(flagged)
        return [{"spam": (0, 4)} for _ in flagged]

    policy = Policy(name="p", labels={"spam": LabelRule(review=0.5, severity="low")})
    agent = ModerationAgent(_Touchy(), policy, Provenance(model="m", policy="p"), tier="t", explain=explain)
    flags = agent.handle([_message("fine", 0), _message("odd", 1), _message("good", 2)], at=NOW).flags
    assert [reason.span for flag in flags for reason in flag.reasons] == [(0, 4), None, (0, 4)]
