"""The corpus is large enough, says each thing once, and leaves no slot open."""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources
from random import Random

import pytest

from schemas.labels import MESSAGE_LABELS
from stream.traffic.slots import fillers
from stream.traffic.templates import CorpusError, Template, corpora, harms, parse


def _all() -> list[Template]:
    return [template for folder in corpora().values() for corpus in folder for template in corpus.templates]


def _count(folder: str) -> int:
    return sum(len(corpus.templates) for name, found in corpora().items() if name == folder for corpus in found)


def test_the_corpus_is_large_and_mostly_harmless() -> None:
    assert len(_all()) >= 350
    assert _count("benign") >= 220
    assert _count("hard") >= 40


def test_every_harm_has_a_dozen_texts_that_carry_its_label() -> None:
    assert set(harms()) == set(MESSAGE_LABELS)
    for name, corpus in harms().items():
        assert len(corpus.templates) >= 12
        assert all(name in template.labels for template in corpus.templates)


def test_harmless_texts_carry_no_label_but_profanity_among_friends() -> None:
    benign = {label for corpus in corpora()["benign"] for template in corpus.templates for label in template.labels}
    hard = {label for corpus in corpora()["hard"] for template in corpus.templates for label in template.labels}
    assert (benign, hard) == (set(), {"profanity"})


def test_no_template_is_written_twice() -> None:
    plain = Counter(re.sub(r"[\W_]+", " ", template.text.casefold()).strip() for template in _all())
    assert [text for text, times in plain.items() if times > 1] == []


def test_no_slot_stays_open() -> None:
    rng = Random(1)
    for template in _all():
        for _ in range(5):
            text = template.fill(rng)
            assert text.strip()
            assert not set("{}") & set(text), template.text


def test_every_slot_is_used() -> None:
    used = {name for template in _all() for name in re.findall(r"\{(\w+)\}", template.text)}
    assert set(fillers()) - used == set()


def test_every_address_is_of_a_reserved_domain() -> None:
    rng = Random(2)
    texts = [template.fill(rng) for template in _all() for _ in range(5)]
    assert any(".example" in text for text in texts)
    assert not [text for text in texts if re.search(r"(https?://|www\.)\S*", text) and ".example" not in text]


def test_an_article_agrees_with_the_word_that_fills_the_slot() -> None:
    template = parse("such a {word}, a {word}", labels=(), known={"word": lambda rng: "idiot"})
    assert template.fill(Random(0)) == "such an idiot, an idiot"


def test_a_line_adds_labels_of_its_own() -> None:
    template = parse("[profanity, threat] hm {n}", labels=("spam",), known=fillers())
    assert (template.labels, template.text) == (("spam", "profanity", "threat"), "hm {n}")


@pytest.mark.parametrize("line", ["hello {nobody}", "an open {n", "[rudeness] hello", "[profanity] ", "{}", "a } b"])
def test_a_faulty_line_is_refused(line: str) -> None:
    with pytest.raises(CorpusError):
        parse(line, labels=(), known=fillers())


def test_the_texts_lie_inside_the_package() -> None:
    package = resources.files("stream.traffic")
    assert package.joinpath("corpus", "slots.toml").is_file()
    assert package.joinpath("corpus", "harm", "scam.txt").is_file()
