"""The word list that respelling goes by: words of the training texts and of the pretrained vocabulary, the most frequent first."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pandas as pd

from models.train.text_data import MAX_CHARS
from models.train.text_sources import SOURCES
from models.train.text_vocabulary import base_folder

_WORD = re.compile(r"(?<![a-z0-9'’@#_])[a-z]{2,20}(?![a-z0-9'’@_])")
_LEAST = 3
"""Texts that use a word before it counts as one, where the pretrained vocabulary lacks it."""
_TYPO = 200
"""How much more frequent a word must be for a rare neighbour of it to be taken as its misspelling."""
_MAIL = ("enron_spam", "spamassassin")


def words(data: Path) -> list[str]:
    """The list, made from the train parts of the sets under `data` that may train any label."""
    counts: Counter[str] = Counter()
    mail: Counter[str] = Counter()
    for source in SOURCES:
        if source.use != "train" or source.name == "madlibs":
            continue
        frame = pd.read_parquet(data / "moderation" / f"{source.name}.parquet", columns=["text", "split"])
        for text in frame.text[frame.split == "train"]:
            (mail if source.name in _MAIL else counts).update(set(_WORD.findall(text[:MAX_CHARS].lower())))
    for word, count in mail.items():
        # Mail has other words than chat: they are words, but not what a slip in a chat stands for.
        counts[word] += count // 10 or (count >= _LEAST) * _LEAST
    vocabulary: dict[str, int] = json.loads((base_folder() / "tokenizer.json").read_text())["model"]["vocab"]
    known = [piece for piece in vocabulary if re.fullmatch(r"[a-z]{2,20}", piece)]
    for piece in known:
        counts[piece] += 0
    certain = set(known)
    kept = [word for word, count in counts.items() if word in certain or (count >= _LEAST and not _misspelt(word, counts))]
    return sorted(kept, key=lambda word: (-counts[word], word))


def _misspelt(word: str, counts: Counter[str]) -> bool:
    """Whether exchanging two neighbouring letters, or adding one, gives a far more frequent word."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)} - {word}
    added = {word[:at] + letter + word[at:] for at in range(len(word) + 1) for letter in letters} if len(word) >= 4 else set()
    return max((counts.get(other, 0) for other in swapped | added), default=0) >= _TYPO * counts[word]


def write(data: Path, file: Path) -> None:
    """`words(data)` in `file`, a line each."""
    file.write_text("\n".join(words(data)) + "\n")
