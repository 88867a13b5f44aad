"""What is misspelt or masked is put right where one word alone can be meant; ordinary and unknown words stay as they are."""

from __future__ import annotations

from itertools import chain, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.normalise import normalise, trace
from models.respell import HARMFUL, edits


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("you are a b*tch and a wh*re", "you are a bitch and a whore"),
        ("f**k this, f*ck that, F*CK", "fuck this, fuck that, FUCK"),
        ("m*therf**ker", "motherfucker"),
        ("fuc king id iot", "fucking idiot"),
        ("ki.ll the-m, sh-ut up", "kill them, shut up"),
        ("1d10t and 5hit", "idiot and shit"),
        ("wh!735 0nly", "whites only"),
        ("you bicth, anythign goes", "you bitch, anything goes"),
        ("peple are wonderul", "people are wonderful"),
        ("prsdnt of the cmpny", "president of the company"),
        ("t_h_e c_a_t", "the cat"),
    ],
)
def test_a_hidden_or_mistyped_word_is_read(written: str, read: str) -> None:
    assert normalise(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "meet at 5am or 7pm on the 4th, seat 12b, 10k run, 30s pause",
        "a lot of people are a bit tired and I ran a long way",
        "he's hit the wall, size s hit the shops, vitamin c at home",
        "*really* good, see note** and fuck* or C# or F#",
        "Ngozi met Wrzesniewski in Hsinchu",
        "jigger, toasted, chins, lumped and gasses",
        "LDN, PLM, SMK and KBR are initials",
        "read http://exmaple.org/peple or @studnt or #beuty",
        "end of it.The next one",
        "no-one well-known is here, is it?",
    ],
)
def test_what_may_be_meant_as_it_stands_is_left_alone(text: str) -> None:
    assert normalise(text) == text


def test_a_repaired_word_leads_back_to_what_was_written() -> None:
    text = "go away, you b*tch, fuc king now"
    traced = trace(text)
    for word, written in (("bitch", "b*tch"), ("fucking", "fuc king")):
        at = traced.text.index(word)
        start, end = traced.origin(at, at + len(word))
        assert text[start:end] == written


def test_edits_come_in_order_and_apart() -> None:
    text = "peple wh*re fuc king id iot 1d10t " * 20
    found = list(edits(text))
    assert found
    assert all(0 <= start < end <= len(text) for start, end, _ in found)
    assert all(one[1] <= other[0] for one, other in pairwise(found))


def test_a_text_of_ordinary_words_costs_two_passes_and_is_never_changed() -> None:
    assert list(edits("Don't worry, the people of this country are kind to each other; it's 10:30 already!")) == []


def test_what_stands_beside_a_sign_is_looked_at_even_among_ordinary_words() -> None:
    for text in ("they are as.sholes here", "you are f***", "he is a 1d10t", "what a wh*re"):
        assert list(edits(text)), text


_CHUNKS = ["the", "fuc", "king", "bicth", "to", "day", "Not", "can", "be", "ll", "you'll", "peple", "Peple", "x", "a", "5hit", "f*ck", "ki.ll", "sh-", "t_h_e", "o'clock"]
_SIGNED = st.lists(
    st.tuples(st.sampled_from([*_CHUNKS, *sorted(HARMFUL)[::9]]), st.sampled_from([" ", " ", " ", "  ", ". ", "'", "’", "/", "-", ".", "_", "@", "\n", "é"])),
    max_size=14,
).map(lambda pairs: "".join(chain.from_iterable(pairs)))


@settings(max_examples=400, deadline=None)
@given(st.one_of(_SIGNED, st.text(alphabet="abeiknotuyGO'’/-_.!*#1@é \n", max_size=60)))
@example("vitamin/to day c at")
@example("x'to day")
def test_only_the_neighbours_of_a_chunk_that_is_not_quiet_are_looked_at(text: str) -> None:
    # As one part, the text is read through from its first token to its last.
    assert edits(text) == edits(text, quiet=lambda _: False)
