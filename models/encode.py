"""Texts to token ids, as the tokenizer gives them, mostly without it.

A BERT tokenizer reads plain ASCII in a way that is quickly told: it lowers the case, drops the blanks, takes each run of letters and digits
for a word and each other character for one, and splits every word by itself. So the ids of a word are asked for once. Any other
text, and any other tokenizer, is the library's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from models.memo import Memo

_WORD = re.compile(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Encoder:
    """Encodes by `tokenizer`, which pads and truncates nothing and must not be changed afterwards. Safe to call from several threads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._model = tokenizer.model
        self._words = Memo(self._ids)
        added = _added(tokenizer)
        self._added = re.compile("|".join(map(re.escape, added or ())) or "(?!)")
        self._quick = added is not None

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, without marks."""
        found = [self._known(text) for text in texts]
        left = [text for text, ids in zip(texts, found, strict=True) if ids is None]
        rest = iter(self._tokenizer.encode_batch_fast(left, add_special_tokens=False) if left else ())
        return [next(rest).ids if ids is None else ids for ids in found]

    def _known(self, text: str) -> list[int] | None:
        """The ids of a plain text; None of any other."""
        if not (self._quick and text.isascii() and (text.isprintable() or _CONTROL.search(text) is None)):
            return None
        lower = text.lower()
        if self._added.search(lower) is not None:
            return None
        return [*chain.from_iterable(map(self._words.__getitem__, _WORD.findall(lower)))]

    def _ids(self, word: str) -> tuple[int, ...]:
        return tuple(token.id for token in self._model.tokenize(word))


def _added(tokenizer: Tokenizer) -> set[str] | None:
    """What stands for one token wherever it occurs, in lower case; None where `tokenizer` is none that we know how to read for."""
    normalizer = tokenizer.normalizer
    if not (isinstance(normalizer, BertNormalizer) and normalizer.lowercase):
        return None
    if not (isinstance(tokenizer.pre_tokenizer, BertPreTokenizer) and isinstance(tokenizer.model, WordPiece)):
        return None
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    found = {form for content in added for form in (content.lower(), normalizer.normalize_str(content))}
    return None if any(not form or any(map(str.isspace, form)) for form in found) else found
