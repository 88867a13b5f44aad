"""Disguises are undone, ordinary text is left alone, offsets lead back, and nobody can make it slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.normalise import DIGEST, normalise, trace


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("f u c k you", "fuck you"),
        ("k-i-l-l y.o.u", "kill you"),
        ("sh1t b!tch a$$ @ss $hit", "shit bitch ass ass shit"),
        ("f4gg0t", "faggot"),
        ("fuuuuck yoooou", "fuck you"),
        ("sooo coool", "so cool"),
        ("assss niggggers", "ass niggers"),
        ("fυсk уоu", "fuck you"),
        ("ｆｕｃｋ 𝖞𝖔𝖚", "fuck you"),
        ("🅵🆄🅲🅺", "fuck"),
        ("f\u200bu\u200bc\u200bk", "fuck"),
        ("\u202ekill\u202c", "kill"),
        ("h̷̢e̸l̵l̴o", "hello"),
        ("cafe\u0301", "café"),
        ("hello!!!!!!!!", "hello!!!"),
        ("\ud800 lone", " lone"),
    ],
)
def test_a_disguise_is_undone(written: str, read: str) -> None:
    assert normalise(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "I have $100 and US$5, mp3s and b2b for user@mail.com at 10:30",
        "www.example.com/x1yz?a=b3c is on the 1st, in MMXXIII, see VIII",
        "naïve Zoë went to a café; e.g. this one",
        "Привет, как дела?",
        "he said: no!no and left, #FreeElChapo",
        "I need a room with a view: 熱雞蛋",
        "call 0800-123-456 or 9-1-1",
        "@user3 thanks :) <3",
        "it is 5-0-0 and A+ or C++",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert normalise(text) == text


_SPOKEN = st.lists(
    st.sampled_from(
        ["you", "You", "are", "I", "a", "b", "fuc", "king", "bicth", "n1ce", "b!tch", "sooo", "www", "it's", "it’s", "well-known", "U.S.", "f*ck", "é",
         "Wrzesniewski", "12:30", "x" * 70, "_", "__", "....", "!!!", "/", "@you", "#id10t", "http://a.bc/de", "\u200b", "сat", "\x1f", "\n"]
    ),
    max_size=16,
).flatmap(lambda words: st.sampled_from(["", " ", "  ", "-"]).map(lambda joint: " ".join(words).replace(" ", joint, 1)))  # fmt: skip
_DISGUISING = st.text(alphabet=st.sampled_from("aAbcistk013$@!. -*_\u200b\u0301\u0335асеоѕυ🅵ﷺ\ud800ÿ\n\t'"), max_size=60)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=80), _DISGUISING, _SPOKEN))
@example("a b c d ")
@example("A!b@c$d1e")
def test_offsets_lead_from_every_character_back_into_the_original(text: str) -> None:
    traced = trace(text)
    assert traced.text == normalise(text)
    assert len(traced.starts) == len(traced.ends) == len(traced.text)
    assert all(0 <= start < end <= len(text) for start, end in zip(traced.starts, traced.ends, strict=True))
    assert list(traced.starts) == sorted(traced.starts)
    if traced.text:
        assert traced.origin(0, len(traced.text))[0] == traced.starts[0]


def test_a_span_of_the_normalised_text_names_the_disguised_word() -> None:
    text = "well, you are a  s t u p i d  b!tch"
    traced = trace(text)
    for word, written in (("stupid", "s t u p i d"), ("bitch", "b!tch")):
        at = traced.text.index(word)
        start, end = traced.origin(at, at + len(word))
        assert text[start:end] == written


_HOSTILE = [
    "a",
    "a b ",
    "a1",
    "a$",
    "!",
    "ш",
    "e\u0301",
    "a\u0301\u0302",
    "аa",
    "a.b",
    "aaab",
    "\ufdfa",
    "a!",
    "$a",
    "\u200b",
    "a-",
    "1a",
    "é",
    "aab ",
    "ab" * 30 + " ",
    "qzxv ",
    "f**",
    "f*k ",
    "sh-",
    "x_",
    "h3l0",
    "fuc ",
]


@pytest.mark.parametrize("unit", _HOSTILE)
def test_time_grows_with_the_length_and_not_with_its_square(unit: str) -> None:
    def seconds(size: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size] + "@"
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            normalise(text)
            best = min(best, time.thread_time() - began)
        return best

    # Eight times the text: eight times the time when linear, sixty-four when not.
    assert seconds(80_000) < 30 * seconds(10_000) + 0.02


def test_the_digest_is_short_hex() -> None:
    assert len(DIGEST) == 16
    int(DIGEST, 16)
