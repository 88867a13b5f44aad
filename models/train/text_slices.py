"""The one table of test slices: which rows of which set say what about which label. `any` is the largest score of the abusive labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.normalise import normalise
from models.train.text_annotations import TEST_FILE, annotated, digest
from models.train.text_data import MAX_CHARS, _by_words, key
from models.train.text_sources import SOURCES, Cells
from models.train.text_written import written
from schemas.labels import MESSAGE_LABELS

OWN = "written"
"""The texts that were written for this project; those for testing apart from those that were trained on."""
_POSTS, _MAIL = "posts, our annotation", "mail and SMS, our annotation"
"""Test texts of sets that never train, and of the spam sets, annotated by us for every harm."""
ABUSIVE: tuple[str, ...] = ("harassment", "hate", "threat", "profanity")
Truth = Callable[[pd.DataFrame], "pd.Series[float]"]
"""1 for positive, 0 for negative, NaN where the row says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceSpec:
    """Rows of `source` with a truth for `label`."""

    source: str
    label: str
    name: str
    truth: Truth
    # A set that was never trained on may be used whole where its test part is small.
    whole: bool = False

    @property
    def seen(self) -> bool:
        """Whether other texts of the set were trained on."""
        return self.source in (OWN, _MAIL) or any(source.name == self.source and source.use != "evaluate" for source in SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The texts of a slice and the truth, [texts]; `seen` tells whether other texts of the set were trained on."""

    spec: SliceSpec
    texts: list[str]
    truth: NDArray[np.bool_]
    seen: bool

    @property
    def title(self) -> str:
        """The set and what of it, for people."""
        return f"{self.spec.source}: {self.spec.name}"


def _is(column: str) -> Truth:
    return lambda frame: frame[column].astype(float)


def _share(column: str) -> Truth:
    return lambda frame: pd.Series(np.where(frame[column] >= 0.5, 1.0, np.where(frame[column] == 0, 0.0, np.nan)), index=frame.index)


def _one_of(column: str, positive: tuple[str, ...], negative: tuple[str, ...]) -> Truth:
    return lambda frame: pd.Series(
        np.where(frame[column].isin(positive), 1.0, np.where(frame[column].isin(negative), 0.0, np.nan)), index=frame.index
    )


def _edos_threat(frame: pd.DataFrame) -> pd.Series[float]:
    return frame.label_category.str.startswith("1.").astype(float)


def _edos_sexual(frame: pd.DataFrame) -> pd.Series[float]:
    return frame.label_vector.str.startswith("2.3").astype(float)


def _offensive(frame: pd.DataFrame) -> pd.Series[float]:
    score = frame.offensiveness_score
    return pd.Series(np.where(score >= 0.3, 1.0, np.where(score <= 0, 0.0, np.nan)), index=frame.index)


def _specs() -> Iterator[SliceSpec]:
    for column, label in (
        ("insult", "harassment"),
        ("identity_hate", "hate"),
        ("threat", "threat"),
        ("obscene", "profanity"),
        ("toxic", "any"),
        ("severe_toxic", "any"),
    ):
        yield SliceSpec(source="jigsaw", label=label, name=column, truth=_is(column))
    yield SliceSpec(source="jigsaw_binary", label="any", name="toxic", truth=_is("toxic"))
    for source in ("dynahate", "measuring_hate", "stormfront", "founta", "tweeteval_hate"):
        yield SliceSpec(source=source, label="hate", name="hate", truth=_is("hate"))
    yield SliceSpec(
        source="davidson", label="hate", name="hate against the rest", truth=_one_of("label", ("hate",), ("offensive", "neither"))
    )
    yield SliceSpec(source="davidson", label="any", name="hate or offensive", truth=_one_of("label", ("hate", "offensive"), ("neither",)))
    yield SliceSpec(source="edos", label="hate", name="sexist (task A)", truth=_one_of("label_sexist", ("sexist",), ("not sexist",)))
    yield SliceSpec(source="edos", label="threat", name="threats, incitement", truth=_edos_threat)
    yield SliceSpec(source="edos", label="sexual", name="sexual objectification (2.3)", truth=_edos_sexual)
    yield SliceSpec(source="convabuse", label="harassment", name="abuse", truth=_share("abuse"))
    yield SliceSpec(source="convabuse", label="sexual", name="sexual harassment", truth=_share("sex_harassment"))
    yield SliceSpec(source="tweeteval_offensive", label="any", name="offensive", truth=_is("offensive"))
    yield SliceSpec(source="tweeteval_offensive", label="harassment", name="offensive", truth=_is("offensive"))
    yield SliceSpec(source="insults", label="harassment", name="insult", truth=_is("insult"))
    yield SliceSpec(
        source="hatexplain_valid", label="hate", name="hate against normal", truth=_one_of("gt_label", ("hate",), ("normal",)), whole=True
    )
    yield SliceSpec(
        source="hatexplain_valid",
        label="any",
        name="hate or offensive against normal",
        truth=_one_of("gt_label", ("hate", "offensive"), ("normal",)),
        whole=True,
    )
    yield SliceSpec(
        source="cyberbullying",
        label="any",
        name="gender or religion",
        truth=_one_of("cyberbullying_type", ("gender", "religion"), ("not_cyberbullying",)),
    )
    yield SliceSpec(source="ruddit", label="any", name="offensiveness from 0.3 against up to 0", truth=_offensive, whole=True)
    yield SliceSpec(source="madlibs", label="harassment", name="bad, unseen words", truth=_is("bad"))
    for source in ("sms_spam", "youtube_spam", "enron_spam", "spamassassin"):
        yield SliceSpec(source=source, label="spam", name="spam", truth=_is("spam"))
    for source in ("suicidal_intention_tweets", "suicide_watch", "sdcnl"):
        yield SliceSpec(source=source, label="self_harm", name="self-harm", truth=_is("self_harm"))
    for label in MESSAGE_LABELS:
        yield SliceSpec(source=OWN, label=label, name=label, truth=_is(label))
        for source in (_POSTS, _MAIL):
            yield SliceSpec(source=source, label=label, name=label, truth=_is(label))


SLICES: tuple[SliceSpec, ...] = tuple(_specs())


def _own(_data: Path) -> pd.DataFrame:
    """What was written for this project, with a column a label; NaN where annotators would differ."""
    rows = [{"text": one.filled(1, seed=1)[0], "split": one.split} | _columns(one.cells) for one in written()]
    return pd.DataFrame(rows, columns=["text", "split", *MESSAGE_LABELS])


def _annotated(*sets: str) -> Callable[[Path], pd.DataFrame]:
    """Texts of the sets that are never trained on, with a column a label by our own annotation."""

    @cache
    def frame(data: Path) -> pd.DataFrame:
        said, rows = annotated(TEST_FILE), {}
        for name in sets:
            for text in pd.read_parquet(data / "moderation" / f"{name}.parquet", columns=["text"]).text:
                found = digest(key(normalise(text[:MAX_CHARS]).strip()))
                if found in said:
                    rows[found] = {"text": text, "split": "test"} | _columns(said[found])
        return pd.DataFrame(list(rows.values()), columns=["text", "split", *MESSAGE_LABELS])

    return frame


def _columns(cells: Cells) -> dict[str, float]:
    return {label: cells[label].target if label in cells else np.nan for label in MESSAGE_LABELS}


_MADE: dict[str, Callable[[Path], pd.DataFrame]] = {
    OWN: _own,
    _POSTS: _annotated("founta", "tweeteval_offensive", "insults", "hatexplain_valid"),
    _MAIL: _annotated("sms_spam", "spamassassin", "enron_spam", "youtube_spam"),
}


def read(data: Path, spec: SliceSpec, *, split: str = "test", limit: int = 0) -> Slice:
    """The rows of `spec` in `split`, at most `limit` of them (0: all) drawn with a fixed seed."""
    made = _MADE.get(spec.source)
    frame = pd.read_parquet(data / "moderation" / f"{spec.source}.parquet") if made is None else made(data)
    if spec.source == "madlibs":
        frame = frame[frame.text.map(_by_words) == split]
    elif not (spec.whole and split == "test"):
        frame = frame[frame.split == split]
    truth = spec.truth(frame)
    frame, truth = frame[truth.notna()], truth[truth.notna()]
    if limit and len(frame) > limit:
        frame = frame.sample(limit, random_state=0)
        truth = truth[frame.index]
    return Slice(spec=spec, texts=frame.text.astype(str).tolist(), truth=truth.to_numpy() > 0.5, seen=spec.seen)
