"""Token ids are the library's, on every text and for every tokenizer; the memory of words is bounded."""

from __future__ import annotations

import string
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

from models.bundle import ARTIFACTS
from models.encode import Encoder
from models.normalise import normalise

_PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "##at", "c", "##1", "1", "!", "'", "[", "]", "cls", "é", "ss", "i"]


def _packaged() -> Tokenizer:
    found = Tokenizer.from_file(str(ARTIFACTS / "moderation" / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


def _tiny(*added: str | AddedToken, **normalizer: Any) -> Tokenizer:
    found: Any = Tokenizer(models.WordPiece({piece: number for number, piece in enumerate(_PIECES)}, unk_token="[UNK]"))
    found.normalizer, found.pre_tokenizer = normalizers.BertNormalizer(**normalizer), pre_tokenizers.BertPreTokenizer()
    found.add_special_tokens(_PIECES[:4])
    found.add_tokens(list(added))
    tokenizer: Tokenizer = found
    return tokenizer


TOKENIZERS = {
    "packaged": _packaged(),
    "tiny": _tiny(),
    "accents kept": _tiny(strip_accents=False, clean_text=False, handle_chinese_chars=False),
    "cased": _tiny(lowercase=False),
    "words added": _tiny("cat", AddedToken("Hat!", normalized=True), AddedToken("Sat", normalized=False, single_word=True)),
    "accent added": _tiny(AddedToken("Séa", normalized=True)),
    "blank added": _tiny("the cat"),
}
_TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet=string.printable + "\x00\x1c\x7f\x85\u00a0é中İK\u0301", max_size=120),
    st.lists(st.sampled_from(["the", "The", "CATS", "cat's", "[CLS]", "[cls]", "sat", "hat!", "sea", "Séa", "1cat", "!?", "\t", "x" * 120]), max_size=20).map(" ".join),
)


def _library(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("name", TOKENIZERS)
def test_ids_are_those_of_the_library(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    encoder = Encoder(tokenizer)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(_TEXTS, max_size=5))
    @example(["", " ", "a\nb\r\nc\td", "the\x0bcat\x7f!", "don't", "[CLS] the [SEP]", "the  cat"])
    @example([chr(code) for code in range(256)] + [f"a{chr(code)}b" for code in range(256)])
    @example(["a" * 100, "a" * 101, "1" * 5_000])
    def check(texts: list[str]) -> None:
        assert encoder.encode(texts) == _library(tokenizer, texts)

    check()


def test_ids_are_those_of_the_library_on_real_texts(data_dir: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    tokenizer = TOKENIZERS["packaged"]
    encoder = Encoder(tokenizer)
    files = sorted((data_dir / "moderation").glob("*.parquet"))
    if not files:
        pytest.skip(f"data sets: none at {data_dir / 'moderation'}")
    for file in files:
        texts = [text for text in pq.read_table(file, columns=["text"]).column("text").to_pylist()[:400] if text]
        texts += [normalise(text[:2_000]) for text in texts[:200]]
        assert encoder.encode(texts) == _library(tokenizer, texts), file.name


def test_plain_text_needs_the_library_once_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(TOKENIZERS["packaged"])
    text = "You are, as they say, the best of the best!\nSee you at 10:30."
    first = encoder.encode([text])
    monkeypatch.setattr(encoder, "_tokenizer", None)
    monkeypatch.setattr(encoder, "_model", None)
    assert encoder.encode([text, text.upper()]) == first * 2


def test_threads_agree() -> None:
    tokenizer = TOKENIZERS["packaged"]
    texts = [f"word{number % 997} and {number:x} more" for number in range(4_000)]
    wanted = _library(tokenizer, texts)
    encoder = Encoder(tokenizer)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == wanted for found in pool.map(encoder.encode, [texts] * 4))
