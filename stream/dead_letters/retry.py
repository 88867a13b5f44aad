"""Dead letters sent again, each once: the record as it was, to where it came from.

Around each record that is sent stand two marks in the topic of dead letters, under the letter's own id: first that it is about to be
sent, then where it went. Whoever comes later reads them. After a crash in between, the target topic itself tells, since the record
carries its letter's id in a header."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

from aiokafka.errors import KafkaError

from agents.visits import TOPIC as VISITS
from schemas.dead_letter import LETTER_HEADER, RETRY_HEADER, SINK_HEADER, DeadLetter, Retried
from stream.dead_letters.letter import Letter
from stream.dead_letters.read import READ, TOPIC, bodies
from stream.delivery import dead_letter_record
from stream.errors import BrokerError
from stream.names import Names
from stream.publisher import Placed, Publisher, key_hash, producing
from stream.record_batch import Headers, Outgoing
from stream.replay.topic import open_topic
from stream.replay.window import Bound
from stream.settings import Settings

MAX_RETRIES = 3
INPUTS = frozenset({"messages", "transactions", "verdicts", VISITS})
"""Topics that workers read. Transactions are judged at their terminals as records of the last."""
ACTIONS = "action-retries"
"""Where a flag goes that a sink of the actions service did not take: to that service alone."""
OURS = frozenset({RETRY_HEADER, LETTER_HEADER, SINK_HEADER})
CLOCK_SKEW = timedelta(minutes=10)
"""How far the broker's clock may be behind the one that dated a mark."""

What = Literal["retried", "would be retried", "already retried", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a letter; `why` it was refused, or where its record went."""

    letter: Letter
    what: What
    why: str = ""


def retry(
    settings: Settings,
    letters: Sequence[Letter],
    *,
    at: datetime,
    max_retries: int = MAX_RETRIES,
    dry_run: bool = False,
    on_done: Callable[[Done], None] = lambda _: None,
) -> list[Done]:
    """Send the records of `letters` again and wait until the broker has them. A letter that was sent before is left alone, one
    whose record was sent `max_retries` times in all is refused. Repeating a call, also one that was killed, repeats no record;
    two calls at the same moment may. Raises `BrokerError`; what was sent by then is marked."""
    names = Names(settings.prefix)
    found: list[Done] = []

    def tell(done: Done) -> None:
        found.append(done)
        on_done(done)

    due = []
    for letter in letters:
        answer = _without_sending(letter, names, max_retries)
        if answer is not None:
            tell(answer)
        else:
            due.append(letter)
    if dry_run:
        for letter in due:
            tell(Done(letter=letter, what="would be retried", why=_target(letter, names)))
    elif due:
        asyncio.run(_send_all(settings, due, at, tell))
    return found


def _without_sending(letter: Letter, names: Names, max_retries: int) -> Done | None:
    """The answer where nothing is to be sent."""
    if letter.state == "retried" and letter.retried is not None:
        return Done(letter=letter, what="already retried", why=_where(letter.retried))
    if letter.sink is None and names.table(letter.topic) not in INPUTS:
        return Done(letter=letter, what="refused", why=f"{letter.topic} is no input topic of these settings")
    if letter.value_bytes is None:
        return Done(letter=letter, what="refused", why="the letter holds no value: it was a tombstone, or too large to be kept")
    if letter.attempt > max_retries:
        return Done(letter=letter, what="refused", why=f"tried {letter.attempt} times already (--max-retries {max_retries})")
    return None


def _target(letter: Letter, names: Names) -> str:
    return letter.topic if letter.sink is None else names.wire(ACTIONS)


async def _send_all(settings: Settings, due: Sequence[Letter], at: datetime, tell: Callable[[Done], None]) -> None:
    names = Names(settings.prefix)
    sent_before = await asyncio.to_thread(_arrived, settings, [one for one in due if one.state == "unclear"])
    try:
        async with producing(settings) as producer:
            counts = {topic: len(await producer.partitions_for(topic)) for topic in {_target(letter, names) for letter in due}}
            sender = _Sender(Publisher(producer), names, counts, at)
            batches = bodies(settings, due)
            while batch := await asyncio.to_thread(next, batches, None):
                for done in await sender.send(batch, sent_before):
                    tell(done)
    except KafkaError as error:
        raise BrokerError(f"the broker did not take a record: {type(error).__name__}: {error}; say it again, nothing is sent twice") from error


def _arrived(settings: Settings, unclear: Sequence[Letter]) -> dict[str, Retried]:
    """Of letters that were about to be sent, those whose record is in its topic, by id."""
    by_topic: dict[str, dict[str, Retried]] = defaultdict(dict)
    for letter in unclear:
        if letter.retried is not None:
            by_topic[letter.retried.topic][letter.id] = letter.retried
    found: dict[str, Retried] = {}
    for topic, marks in by_topic.items():
        since = min(mark.at for mark in marks.values()) - CLOCK_SKEW
        source = open_topic(settings, topic, since=Bound(at_ms=int(since.timestamp() * 1000)), warmup_ms=0)
        for part in source.parts:
            for records in source.batches(part, size=READ, begin=part.start):
                for raw in records:
                    for name, value in raw.headers:
                        mark = marks.get((value or b"").decode("utf-8", "replace")) if name == LETTER_HEADER else None
                        if mark is not None:
                            found[(value or b"").decode()] = mark.model_copy(update={"partition": raw.at.partition, "offset": raw.at.offset})
    return found


class _Sender:
    """Sends batches of letters. `counts` are the partitions of the topics that their records go to."""

    def __init__(self, publisher: Publisher, names: Names, counts: dict[str, int], at: datetime) -> None:
        self._publisher = publisher
        self._names = names
        self._counts = counts
        self._at = at

    async def send(self, batch: Sequence[tuple[Letter, DeadLetter]], sent_before: dict[str, Retried]) -> list[Done]:
        """What became of `batch`; of those sent before only the mark is made good."""
        fresh = [(letter, body) for letter, body in batch if letter.id not in sent_before]
        await self._publisher.send(
            self._mark(body, Retried(at=self._at, topic=_target(letter, self._names))) for letter, body in fresh if letter.state == "open"
        )
        outgoing = [self._again(letter, body) for letter, body in fresh]
        places = _places(outgoing, await self._publisher.send(outgoing))
        went = {
            letter.id: Retried(at=self._at, topic=record.topic, partition=record.partition, offset=offset)
            for (letter, _), record, offset in zip(fresh, outgoing, places, strict=True)
        }
        marks = {letter.id: went.get(letter.id) or sent_before[letter.id] for letter, _ in batch}
        await self._publisher.send(self._mark(body, marks[letter.id]) for letter, body in batch)
        return [
            Done(letter=letter, what="retried" if letter.id in went else "already retried", why=_where(marks[letter.id]))
            for letter, _ in batch
        ]

    def _again(self, letter: Letter, body: DeadLetter) -> Outgoing:
        """The record as it was, with how often it was sent again and for which letter. An input goes to its old partition, where
        its entity's state lies."""
        topic = _target(letter, self._names)
        headers = [(header.name, header.value) for header in body.headers if header.name not in OURS]
        headers += [(RETRY_HEADER, str(letter.attempt).encode()), (LETTER_HEADER, letter.id.encode())]
        if letter.sink is not None:
            headers.append((SINK_HEADER, letter.sink.encode()))
        count = self._counts[topic]
        if letter.sink is None and letter.partition < count:
            partition = letter.partition
        else:
            partition = key_hash(body.key) % count if body.key is not None else letter.offset % count
        # The client takes a header without a value; its type does not say so.
        return Outgoing(topic, body.key, body.value, cast("Headers", headers), partition)

    def _mark(self, body: DeadLetter, retried: Retried) -> Outgoing:
        """What is said of a letter, without its bytes."""
        said = body.model_copy(update={"value": None, "headers": (), "response": None, "retried": retried})
        return dead_letter_record(said, self._names.wire(TOPIC))


def _places(outgoing: Sequence[Outgoing], placed: Sequence[Placed]) -> Iterator[int]:
    """The offset of each record: the runs of a partition hold its records in order."""
    offsets: dict[tuple[str, int | None], deque[int]] = defaultdict(deque)
    for run in placed:
        offsets[run.topic, run.partition].extend(range(run.base, run.base + run.records))
    for record in outgoing:
        yield offsets[record.topic, record.partition].popleft()


def _where(mark: Retried) -> str:
    return f"{mark.topic}/{mark.partition}@{mark.offset}"
