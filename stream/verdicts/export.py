"""`flagstream verdicts export`: the verdicts that stand, joined with their flags and texts, as lines to learn from."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from schemas.codec import Record, decode
from schemas.flag import Flag
from schemas.message import Message
from schemas.verdict import Verdict
from stream.errors import UsageError
from stream.names import Names
from stream.replay.topic import open_topic, read_all
from stream.replay.window import Bound
from stream.settings import Settings

READ = 4_000
NAMED = 10
"""So many events are named for each reason."""

NO_FLAG = "no flag on the event"
NO_TEXT = "text no longer kept"
TRANSACTION = "of a transaction, which has no text"


@dataclass(slots=True)
class Exported:
    """`written` lines, of them `texts` with a text. `left_out` and `unjoined` count what was not written or not joined, by the
    reason; `events` names the first few of those events."""

    written: int = 0
    texts: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    unjoined: Counter[str] = field(default_factory=Counter)
    events: dict[str, list[str]] = field(default_factory=dict)

    def lacks(self, reason: str, event_id: str) -> None:
        """Count a verdict that lacks something, and name its event."""
        self.unjoined[reason] += 1
        named = self.events.setdefault(reason, [])
        if len(named) < NAMED:
            named.append(event_id)


class _Flagged(NamedTuple):
    flag_id: str
    kind: str
    place: tuple[int, int] | None
    """Partition and offset of the message."""
    scores: dict[str, float]


def export(
    settings: Settings, out: Path, *, labels: Collection[str] = (), since: Bound | None = None, texts_only: bool = False
) -> Exported:
    """Write a line for each verdict that stands to `out`, which nobody else may read: the verdict as `replay --verdicts` takes it, with
    the `text` as `tune` wants it where the topic of messages still has it, and the flag's `score`. Of several verdicts on one event
    and label the latest stands; one that another supersedes does not. Raises `UsageError`, `BrokerError`."""
    names = Names(settings.prefix)
    tally = Exported()
    verdicts = _standing(settings, names.wire("verdicts"), labels, since, tally)
    flags = _flags(settings, names, {verdict.event_id for verdict in verdicts})
    texts = _texts(settings, names.wire("messages"), _wanted(verdicts, flags))
    lines = _lines(verdicts, flags, texts, tally, texts_only=texts_only)
    try:
        _write(out, lines)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written: {error.strerror}") from error
    return tally


def _standing(settings: Settings, topic: str, labels: Collection[str], since: Bound | None, tally: Exported) -> list[Verdict]:
    found: dict[str, Verdict] = {}
    source = open_topic(settings, topic, since=since, warmup_ms=0)
    for part in source.parts:
        for records in source.batches(part, size=READ, begin=part.start):
            for raw in records:
                read = decode(Verdict, raw)
                if isinstance(read, Record):
                    found[read.body.id] = read.body
                else:
                    tally.left_out["no verdict"] += 1
    gone = {verdict.supersedes for verdict in found.values()}
    standing: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(found.values(), key=lambda one: one.occurred_at):
        if verdict.id in gone:
            tally.left_out["superseded"] += 1
        elif labels and verdict.label not in labels:
            tally.left_out["other label"] += 1
        else:
            tally.left_out["a later verdict stands"] += (verdict.event_id, verdict.label) in standing
            standing[verdict.event_id, verdict.label] = verdict
    return list(standing.values())


def _flags(settings: Settings, names: Names, events: set[str]) -> dict[str, list[_Flagged]]:
    """The flags on these events, in order for each."""
    found: dict[str, list[_Flagged]] = {}
    if not events:
        return found
    messages = names.wire("messages")
    for records in read_all(settings, names.wire("flags")):
        for raw in records:
            read = decode(Flag, raw)
            if isinstance(read, Record) and read.body.event.id in events and read.body.mode == "live":
                event = read.body.event
                place = (event.partition, event.offset) if event.topic == messages else None
                scores = {label.name: label.score for label in read.body.labels}
                found.setdefault(event.id, []).append(_Flagged(read.body.id, read.body.kind, place, scores))
    return found


def _flag_of(verdict: Verdict, flags: dict[str, list[_Flagged]]) -> _Flagged | None:
    """The flag that the verdict names, else the latest on its event."""
    many = flags.get(verdict.event_id, [])
    named = [flag for flag in many if flag.flag_id == verdict.flag_id]
    return named[-1] if named else many[-1] if many else None


def _wanted(verdicts: Collection[Verdict], flags: dict[str, list[_Flagged]]) -> dict[str, set[tuple[int, int]]]:
    """Events whose text is wanted, with the places where their flags found it (none: anywhere)."""
    wanted: dict[str, set[tuple[int, int]]] = {}
    for verdict in verdicts:
        flag = _flag_of(verdict, flags)
        if verdict.label != "fraud" and (flag is None or flag.place is not None):
            wanted.setdefault(verdict.event_id, set()).update(() if flag is None or flag.place is None else (flag.place,))
    return wanted


def _texts(settings: Settings, topic: str, wanted: dict[str, set[tuple[int, int]]]) -> dict[str, str]:
    """Texts by event. An id that several messages share is told by the place of its flag."""
    found: dict[str, str] = {}
    if not wanted:
        return found
    source = open_topic(settings, topic)
    anywhere = any(not places for places in wanted.values())
    for part in source.parts:
        offsets = [offset for places in wanted.values() for number, offset in places if number == part.number]
        begin = part.start if anywhere else max(part.start, min(offsets, default=part.end))
        for records in source.batches(part, size=READ, begin=begin):
            for raw in records:
                read = decode(Message, raw)
                places = wanted.get(read.body.id) if isinstance(read, Record) else None
                if isinstance(read, Record) and places is not None and (not places or (raw.at.partition, raw.at.offset) in places):
                    found[read.body.id] = read.body.text
            if not anywhere and offsets and records[-1].at.offset >= max(offsets):
                break
    return found


def _lines(
    verdicts: Collection[Verdict], flags: dict[str, list[_Flagged]], texts: dict[str, str], tally: Exported, *, texts_only: bool
) -> Iterator[bytes]:
    for verdict in verdicts:
        flag, text = _flag_of(verdict, flags), texts.get(verdict.event_id)
        line: dict[str, Any] = verdict.model_dump(mode="json", exclude_none=True)
        if flag is None:
            tally.lacks(NO_FLAG, verdict.event_id)
        elif verdict.label in flag.scores:
            line["score"] = flag.scores[verdict.label]
        if text is not None:
            tally.texts += 1
            line = {"text": text, **line}
            line["text"] = text
        else:
            of_money = verdict.label == "fraud" or (flag is not None and flag.kind == "transaction")
            tally.lacks(TRANSACTION if of_money else NO_TEXT, verdict.event_id)
            if texts_only:
                continue
        tally.written += 1
        yield to_json(line) + b"\n"


def _write(out: Path, lines: Iterator[bytes]) -> None:
    """All of the file or none of it. Texts are not for everybody on the machine, and `mkstemp` sees to that."""
    number, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:100]}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.writelines(lines)
        Path(name).replace(out)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
