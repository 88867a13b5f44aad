"""The topic of dead letters, read to its end: what there is, and the letters themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from schemas.codec import RawRecord, Record, decode
from schemas.dead_letter import DeadLetter
from stream.dead_letters.letter import Letter, Wanted
from stream.errors import UsageError
from stream.names import Names
from stream.replay.topic import TopicSource, open_topic
from stream.replay.window import Bound
from stream.settings import Settings

TOPIC = "dead-letters"
READ = 500
"""Letters hold whole records: so many of them in memory at a time."""
SHORTEST_ID = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The letters that were asked for, oldest first, each once; `unreadable` records of the topic were no letters."""

    letters: tuple[Letter, ...]
    unreadable: int


def survey(settings: Settings, wanted: Wanted, *, since: Bound | None = None) -> Survey:
    """The wanted letters that were written from `since` on. Takes about half a kilobyte of memory a letter. Raises `UsageError` for
    an id that no letter or more than one has, `BrokerError`."""
    for start in wanted.ids:
        if len(start) < SHORTEST_ID:
            raise UsageError(f"dead letter {start!r}: give at least the first {SHORTEST_ID} characters of its id")
    names = Names(settings.prefix)
    found: dict[str, Letter] = {}
    marks: dict[str, Letter] = {}
    unreadable = 0
    for records in _batches(open_topic(settings, names.wire(TOPIC), since=since, warmup_ms=0)):
        for raw in records:
            read = decode(DeadLetter, raw)
            if not isinstance(read, Record):
                unreadable += 1
                continue
            letter = Letter.of(read.body, raw.at)
            if not wanted.accepts(letter, names):
                continue
            if letter.retried is None:
                # The first of repetitions: its value is the likeliest to be whole.
                found.setdefault(letter.id, letter)
            elif letter.id not in marks or marks[letter.id].state == "unclear":
                marks[letter.id] = letter
    for start in wanted.ids:
        _one(start, found)
    letters = (replace(letter, retried=marks[letter.id].retried) if letter.id in marks else letter for letter in found.values())
    return Survey(letters=tuple(sorted(letters, key=lambda one: (one.first_seen, one.at))), unreadable=unreadable)


def bodies(settings: Settings, letters: Collection[Letter]) -> Iterator[list[tuple[Letter, DeadLetter]]]:
    """`letters` with what they hold, up to `READ` at a time, those of one partition in the order in which they were written."""
    places = {letter.at: letter for letter in letters}
    source = open_topic(settings, Names(settings.prefix).wire(TOPIC))
    for part in source.parts:
        offsets = [at.offset for at in places if at.partition == part.number]
        if not offsets:
            continue
        for records in source.batches(part, size=READ, begin=max(part.start, min(offsets))):
            batch = [
                (places[raw.at], read.body)
                for raw in records
                if raw.at in places and isinstance(read := decode(DeadLetter, raw), Record)
            ]
            if batch:
                yield batch
            if records[-1].at.offset >= max(offsets):
                break


def _batches(source: TopicSource) -> Iterator[list[RawRecord]]:
    for part in source.parts:
        yield from source.batches(part, size=READ, begin=part.start)


def _one(start: str, found: Collection[str]) -> None:
    many = [one for one in found if one.startswith(start)]
    if not many:
        raise UsageError(f"no dead letter {start!r}: `flagstream dead-letters list` shows those that are kept")
    if len(many) > 1:
        raise UsageError(f"dead letter {start!r}: {len(many)} ids begin like this; give more of it")
