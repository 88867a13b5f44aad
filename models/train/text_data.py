"""From files to one table of texts with cells: normalised, free of duplicates across files and of anything held out."""

from __future__ import annotations

import ast
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.normalise import normalise
from models.train.text_annotations import annotated, digest
from models.train.text_config import TextConfig
from models.train.text_families import Split
from models.train.text_lexicon import CALL, EXPLICIT, PROMOTES, SEXUAL, STRONG, SUICIDAL, SWEARS, VIOLENT
from models.train.text_sources import HEADS, SOURCES, Cell, Cells, Row, TextSource
from models.train.text_templates import sentences
from models.train.text_written import written

log = logging.getLogger(__name__)
MAX_CHARS = 1_500
"""Characters of a text that training looks at; more than its tokens ever need."""

FIRM = 0.6
"""From this weight on a cell is an annotator's word, and no rule's."""
_SETTLED_SHARE = 2.0
"""How often a text whose every harm is decided is drawn, beside the others of its set."""
_KEY = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """Texts with `targets` and `weights` of shape [texts, heads]; weight 0 is unknown. `shares` scales how often a text is drawn."""

    texts: list[str]
    sources: NDArray[np.str_]
    splits: NDArray[np.str_]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    shares: NDArray[np.float32]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Positions of the texts of `split`."""
        return np.flatnonzero(self.splits == split)


def key(text: str) -> str:
    """What two texts share when they are the same but for case, punctuation and disguise."""
    letters = _KEY.sub("", text.lower())
    return letters[:400] or text.strip()[:400]


def weak_cells(text: str, source: TextSource, cells: Cells) -> Cells:
    """Cells for heads that the source is silent about, where the words alone decide well enough; small weights.

    A data set of one harm says nothing of another: these negatives keep, say, the spam head from firing on insults, and they
    never use a text that has any word of that harm."""
    weak: Cells = {}
    if source.use == "self_harm only":
        return weak
    if "profanity" not in cells:
        if STRONG.search(text):
            weak["profanity"] = Cell(target=1.0, weight=0.4)
        elif not SWEARS.search(text):
            weak["profanity"] = Cell(target=0.0, weight=0.3)
    if "sexual" not in cells:
        if EXPLICIT.search(text):
            weak["sexual"] = Cell(target=1.0, weight=0.5)
        elif not SEXUAL.search(text):
            weak["sexual"] = Cell(target=0.0, weight=0.25)
    if "threat" not in cells or cells["threat"].target == 0:
        abusive = any(cells[head].target > 0.5 for head in ("hate", "toxic") if head in cells)
        if abusive and CALL.search(text) and source.name not in ("jigsaw", "edos"):
            weak["threat"] = Cell(target=1.0, weight=0.5)
        elif "threat" not in cells and not VIOLENT.search(text):
            weak["threat"] = Cell(target=0.0, weight=0.25)
    if "self_harm" not in cells and not SUICIDAL.search(text):
        weak["self_harm"] = Cell(target=0.0, weight=0.1)
    if not PROMOTES.search(text):
        weak |= {head: Cell(target=0.0, weight=0.1) for head in ("spam", "scam") if head not in cells}
    if "spam" in cells and cells["spam"].target == 0 and not SWEARS.search(text) and not SEXUAL.search(text):
        weak |= {head: Cell(target=0.0, weight=0.2) for head in ("hate", "harassment", "toxic")}
    return weak


def _rows(frame: pd.DataFrame, source: TextSource) -> Iterator[Row]:
    rows: list[Row] = frame.to_dict("records")
    if source.name == "toxic_spans":
        for row in rows:
            yield from _by_sentence(row)
        return
    for row in rows:
        if source.name == "madlibs":
            row["split"] = _by_words(row["text"])
        elif source.name in ("youtube_spam", "sdcnl") and row["split"] == "train" and _hash(row["text"]) % 12 == 0:
            row["split"] = "valid"  # these sets come without a validation part
        if row["split"]:
            yield row


def _by_sentence(row: Row) -> Iterator[Row]:
    """The sentences of a text of toxic_spans: those with a toxic character, and those without any if the text has some elsewhere.

    All texts of the set are toxic; what is beside the spans gives negatives of the same style."""
    spans = set(ast.literal_eval(row["spans"]))
    if not spans:
        return
    for match in re.finditer(r"[^.!?\n]+[.!?\n]*", row["text"]):
        text = match.group().strip()
        if len(text) >= 15:
            toxic = any(position in spans for position in range(*match.span()))
            yield {**row, "text": text, "toxic": toxic}


def _by_words(text: str) -> str:
    """The split of a madlibs sentence by its adjective and its identity term; mixed combinations belong to none."""
    parts = text.split(" a ", 1)
    adjective, _, term = parts[-1].partition(" ")
    first, second = (("train", "train", "train", "valid", "test")[_hash(word) % 5] for word in (adjective, term))
    return first if first == second else ""


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def held_out(data: Path) -> set[str]:
    """Keys of every text that must not be trained on: all test splits, and the whole of the sets that only evaluate."""
    keys: set[str] = set()
    for source in SOURCES:
        frame = pd.read_parquet(data / "moderation" / f"{source.name}.parquet", columns=["text", "split"])
        texts = frame.text if source.use == "evaluate" else frame.text[frame.split == "test"]
        if source.name != "madlibs":
            keys.update(key(normalise(text[:MAX_CHARS])) for text in texts)
    return keys


def load(data: Path, config: TextConfig) -> TextTable:
    """Train and valid texts of every source that may train, and the templates. A text met twice is one text whose cells are joined;
    where two sources contradict each other the cell is unknown. A text in two splits counts as valid."""
    banned, ours = held_out(data), annotated()
    texts: list[str] = []
    meta: list[tuple[str, str, float]] = []
    cells: list[Cells] = []
    seen: dict[str, int] = {}
    for source in SOURCES:
        if source.use == "evaluate":
            continue
        frame = pd.read_parquet(data / "moderation" / f"{source.name}.parquet")
        kept = 0
        for row in _rows(frame, source):
            text = normalise(row["text"][:MAX_CHARS]).strip()
            if row["split"] == "test" or not text or (name := key(text)) in banned:
                continue
            found = source.cells({**row, "text": text})
            found = weak_cells(text, source, found) | found if source.name != "edos" else found | weak_cells(text, source, found)
            if name in seen:
                at = seen[name]
                cells[at] = _join(cells[at], found)
                meta[at] = (meta[at][0], "valid" if "valid" in (meta[at][1], row["split"]) else "train", max(meta[at][2], source.share))
                continue
            seen[name] = len(texts)
            texts.append(text)
            cells.append(found)
            meta.append((source.name, row["split"], source.share))
            kept += 1
        log.info("text.source %s: %d of %d texts kept", source.name, kept, len(frame))
    for name, at in seen.items():
        if (said := ours.get(digest(name))) is not None and meta[at][0] not in _BOUND:
            cells[at], meta[at] = _settled(cells[at], said), (*meta[at][:2], meta[at][2] * _SETTLED_SHARE)
    drawn = sum(share for _, split, share in meta if split == "train")
    own = 1 - config.template_share - config.written_share
    counts: tuple[tuple[Split, int], ...] = (("train", config.templates), ("valid", 8))
    for split, count in counts:
        filled = list(sentences(split=split, per_template=count, seed=config.seed))
        each = drawn * config.template_share / own / sum(sentence.share for sentence in filled)
        for sentence in filled:
            texts.append(normalise(sentence.text))
            cells.append({head: Cell(target=float(value)) for head, value in sentence.family.decides.items()})
            meta.append((f"templates/{sentence.family.name}", split, each * sentence.share))
        mine = [one for one in written() if one.split == split and key(normalise(one.text)) not in banned]
        for one in mine:
            variants = one.filled(3 if split == "train" else 1, seed=config.seed)
            for text in variants:
                texts.append(normalise(text))
                cells.append(one.cells)
                meta.append((f"written/{one.topic}", split, drawn * config.written_share / own / len(mine) / len(variants)))
    targets, weights = _arrays(cells)
    return TextTable(
        texts=texts,
        sources=np.array([m[0] for m in meta]),
        splits=np.array([m[1] for m in meta]),
        targets=targets,
        weights=weights,
        shares=np.array([m[2] for m in meta], np.float32),
    )


_BOUND = frozenset(source.name for source in SOURCES if source.use == "self_harm only")
"""Sets that may say something of one head alone."""


def _settled(mine: Cells, said: Cells) -> Cells:
    """The cells of a text whose data set decides some, and an annotator of our own who looked at all: the data set's word stands."""
    return said | {head: cell for head, cell in mine.items() if cell.weight >= FIRM}


def _join(one: Cells, other: Cells) -> Cells:
    joined = dict(one)
    for head, cell in other.items():
        mine = joined.get(head)
        if mine is None or cell.weight > mine.weight:
            joined[head] = cell
        elif mine.target != cell.target and cell.weight == mine.weight:
            joined[head] = Cell(target=0.5, weight=0.0)
    return joined


def _arrays(cells: list[Mapping[str, Cell]] | list[Cells]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    targets = np.zeros((len(cells), len(HEADS)), np.float32)
    weights = np.zeros_like(targets)
    for row, found in enumerate(cells):
        for head, cell in found.items():
            column = HEADS.index(head)
            targets[row, column], weights[row, column] = cell.target, cell.weight
    return targets, weights


HEAD_SHARES = np.array([{"toxic": 0.5, "hate": 1.3, "harassment": 1.2, "sexual": 0.6}.get(head, 0.8) for head in HEADS], np.float32)
"""What each head counts in the loss."""


def balance(table: TextTable, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights of `rows` for the loss, [rows, heads]: in each head positives weigh at least a third of the negatives (raised no
    more than tenfold), and the heads' totals are to each other as `HEAD_SHARES`."""
    weights = table.weights[rows] * table.shares[rows, None]
    scaled = table.weights[rows].copy()
    positive = table.targets[rows] > 0.5
    for column in range(len(HEADS)):
        yes, no = (float(weights[mask[:, column], column].sum()) for mask in (positive, ~positive))
        if yes == 0 or no == 0:
            continue
        lift = min(10.0, max(1.0, no / 3 / yes))
        scaled[positive[:, column], column] *= lift
        total = yes * lift + no
        scaled[:, column] *= float(table.shares[rows].sum()) / total * HEAD_SHARES[column]
    return scaled
