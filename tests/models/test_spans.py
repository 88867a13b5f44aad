"""Spans of the packaged classifier: they point at the abuse in the text as it was sent, whatever surrounds or disguises it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.bundle import ARTIFACTS, Bundle
from models.spans import SpanFinder
from models.text import TextClassifier
from models.windows import RAW_CHARS, shortened, traced

ABUSE = "you stupid bitch"
FILLER = "the meeting about the garden is on tuesday and we will bring cake for everybody. "


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    return TextClassifier.load(Bundle.open(ARTIFACTS / "moderation"))


@pytest.fixture(scope="module")
def find(model: TextClassifier) -> SpanFinder:
    return SpanFinder(model, parts=16)


@pytest.mark.parametrize("before", ["", FILLER, FILLER * 30, "😀 ünïcode ＡＢＣ \u200b\u200b " * 3], ids=["alone", "after a sentence", "far in", "odd"])
@pytest.mark.parametrize(
    ("abuse", "core"),
    [(ABUSE, "stupid bitch"), ("you s t u p i d b1tch", "s t u p i d b1tch"), ("you stup\u200bid bi\u0301tch", "stup\u200bid bi\u0301tch"), ("ｙｏｕ ｓｔｕｐｉｄ ｂｉｔｃｈ", "ｓｔｕｐｉｄ ｂｉｔｃｈ")],
    ids=["plain", "leetspeak", "invisible", "wide"],
)
def test_the_span_points_at_the_abuse_in_the_text_as_sent(find: SpanFinder, before: str, abuse: str, core: str) -> None:
    text = f"{before}{abuse} {FILLER if before else ''}"
    start, end = find([(text, ["harassment"])])[0]["harassment"]
    place = text.index(core)
    assert start < place + len(core), text[start:end]
    assert end > place, text[start:end]
    assert len(before) <= start < end <= len(before) + len(abuse) + 1, text[start:end]


def test_each_label_has_a_span_of_its_own(find: SpanFinder) -> None:
    insult, promotion = "you are a pathetic idiot", "Text WIN to 80086 now to claim your FREE prize"
    text = f"{insult}. {FILLER}{promotion}"
    (spans,) = find([(text, ["harassment", "spam"])])
    assert text[slice(*spans["harassment"])] in insult
    assert spans["spam"][0] >= len(insult) + len(FILLER)


def test_a_text_without_words_has_no_span(find: SpanFinder) -> None:
    assert find([("", ["hate"]), (" \u200b\n", ["hate"]), ("abuse", [])]) == [{}, {}, {}]
    assert find([]) == []


def test_no_more_parts_are_read_than_allowed(model: TextClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    find = SpanFinder(model, parts=8)
    read: list[int] = []
    run = model.run

    def counted(ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        read.append(len(ids))
        return run(ids)

    monkeypatch.setattr(model, "run", counted)
    find([((ABUSE + " " + FILLER * 4) * 40, ["harassment", "hate", "profanity"])])
    # Eight windows at most, and then the parts.
    assert sum(read) <= 8 + 8


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=200), st.text(alphabet="ab 1.\u200b@ﷺ", max_size=400).map(lambda text: text + " " + ABUSE)))
def test_spans_of_any_text_lie_inside_it_and_are_the_same_again(find: SpanFinder, text: str) -> None:
    flagged = text, ["hate", "harassment"]
    (spans,) = find([flagged])
    assert all(0 <= start < end <= len(text) for start, end in spans.values())
    assert find([(ABUSE, ["harassment"]), flagged, (FILLER * 60 + ABUSE, ["profanity"])])[1] == spans


@pytest.mark.parametrize("length", [0, 10, 4_801, RAW_CHARS, RAW_CHARS + 1, 90_000])
def test_a_traced_text_is_the_shortened_one_and_knows_its_origin(length: int) -> None:
    text = ("abc ＤＥＦ \u200bw0rd " * (length // 10 + 1))[:length]
    read = traced(text, max_chars=4_800, parts=8)
    assert read.text == shortened(text, max_chars=4_800, parts=8)
    assert len(read.text) == len(read.starts) == len(read.ends)
    for at in range(0, len(read.text), 97):
        start, end = read.origin(at, at + 1)
        assert 0 <= start < end <= length
        if read.text[at] in "abcw":
            assert text[start:end] == read.text[at]
