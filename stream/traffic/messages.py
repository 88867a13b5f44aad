"""The chat: what the crowd writes, one message at a time. Most of it is harmless; harm comes singly or in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from schemas.message import Message
from stream.traffic.crowd import Crowd, Person
from stream.traffic.disguise import disguise
from stream.traffic.event import Kind, Truth, tag
from stream.traffic.templates import Corpus, Folder, Template, corpora, harms

HARD_SHARE = 0.045
"""Share of hard negatives in what ordinary people write."""

SLIPS: tuple[tuple[str, float], ...] = (
    ("profanity", 0.006), ("self_harm", 0.003), ("harassment", 0.003),
    ("threat", 0.001), ("sexual", 0.001), ("hate", 0.0005),
)
"""Harm that ordinary people write, with its share of their messages."""

BURST_START, BURST_PACE = 0.006, 0.12
"""Chances that a message begins a bad actor's burst, and that it is one of a burst under way: about 5 % of all are."""

HARASSER_THEMES: tuple[tuple[str, float], ...] = (
    ("harassment", 0.4), ("hate", 0.25), ("threat", 0.15), ("sexual", 0.2),
)
DISGUISED_SHARE = 0.12
"""Share of the messages of bursts whose words are hidden."""

_KINDS: dict[Folder, Kind] = {"benign": "benign", "hard": "hard_negative", "harm": "harm"}
_SLIP_SHARE = sum(share for _, share in SLIPS)
_PLACES = ("lobby", "market", "help", "class-9b", "family", "sports", "kitchen", "reviews", "general", "dm")


@dataclass(slots=True, kw_only=True)
class Burst:
    """What a bad actor is about to write: `left` more messages of `corpus`, at `victim` or, without one, anywhere."""

    actor: Person
    corpus: Corpus
    template: Template | None
    victim: str | None
    left: int


class Chat:
    """The messages of one crowd, in the order in which they are written; equal seeds give equal chats."""

    def __init__(self, seed: int, *, users: int = 2000) -> None:
        self._rng = Random(f"{seed}:messages")
        self._crowd = Crowd.draw(self._rng, users=users)
        self._bursts: list[Burst] = []
        self._tag = tag(seed)
        self._written = 0
        self._latest: list[str] = []

    def write(self, at: datetime) -> tuple[Message, Truth]:
        """The next message, written at `at`, and its truth."""
        rng = self._rng
        if rng.random() < BURST_START:
            self._bursts.append(self._begin_burst())
        if self._bursts and rng.random() < BURST_PACE:
            return self._from_burst(at)
        person = self._crowd.speaker(rng)
        roll = rng.random()
        if roll < _SLIP_SHARE:
            name = rng.choices([name for name, _ in SLIPS], [share for _, share in SLIPS])[0]
            return self._compose(at, person, harms()[name])
        if roll < _SLIP_SHARE + HARD_SHARE:
            return self._compose(at, person, rng.choice(corpora()["hard"]))
        return self._compose(at, person, person.subjects[int(rng.random() ** 2 * len(person.subjects))])

    def _begin_burst(self) -> Burst:
        rng = self._rng
        roll = rng.random()
        if roll < 0.35:
            actor, corpus = rng.choice(self._crowd.bad["spammer"]), harms()["spam"]
            return Burst(actor=actor, corpus=corpus, template=corpus.pick(rng), victim=None, left=rng.randint(6, 18))
        if roll < 0.65:
            actor, corpus = rng.choice(self._crowd.bad["scammer"]), harms()["scam"]
            return Burst(actor=actor, corpus=corpus, template=corpus.pick(rng), victim=None, left=rng.randint(3, 9))
        actor = rng.choice(self._crowd.bad["harasser"])
        theme = rng.choices([name for name, _ in HARASSER_THEMES], [share for _, share in HARASSER_THEMES])[0]
        victim = self._latest[-1] if self._latest else None
        return Burst(actor=actor, corpus=harms()[theme], template=None, victim=victim, left=rng.randint(3, 9))

    def _from_burst(self, at: datetime) -> tuple[Message, Truth]:
        rng = self._rng
        burst = rng.choice(self._bursts)
        burst.left -= 1
        if not burst.left:
            self._bursts.remove(burst)
        corpus = burst.corpus
        if burst.victim and rng.random() < 0.2:
            corpus = harms()["harassment"]
        # Spam and scams repeat one text, with small changes; a harasser finds new words.
        template = burst.template if burst.template and rng.random() < 0.85 else None
        return self._compose(at, burst.actor, corpus, template=template, reply_to=burst.victim, may_hide=True)

    def _compose(
        self, at: datetime, person: Person, corpus: Corpus, *,
        template: Template | None = None, reply_to: str | None = None, may_hide: bool = False,
    ) -> tuple[Message, Truth]:
        rng = self._rng
        chosen = template or corpus.pick(rng)
        text = person.habit.apply(chosen.fill(rng), rng)
        if corpus.folder == "benign" and rng.random() < 0.05:
            text = self._long(text, corpus)
        hidden = None
        if may_hide and rng.random() < DISGUISED_SHARE:
            text, hidden = disguise(text, rng)
        if reply_to is None and self._latest and rng.random() < 0.15:
            reply_to = rng.choice(self._latest)
        self._written += 1
        message = Message(
            id=f"msg-{self._tag}-{self._written:07d}", occurred_at=at, user_id=person.id, text=text, reply_to=reply_to,
            channel_id=_PLACES[int(rng.random() * len(_PLACES))], lang=corpus.lang if person.says_lang else None,
        )
        self._latest.append(message.id)
        del self._latest[:-20]
        return message, Truth(kind=_KINDS[corpus.folder], detail=corpus.name, labels=chosen.labels, disguise=hidden)

    def _long(self, text: str, corpus: Corpus) -> str:
        """`text` with up to five more of the same subject behind it: people do ramble."""
        more = [text] + [corpus.pick(self._rng).fill(self._rng) for _ in range(self._rng.randint(1, 5))]
        return " ".join(part if part[-1] in ".!?" else f"{part}." for part in more)


def messages(seed: int, *, start: datetime, rate: float, users: int = 2000) -> Iterator[tuple[Message, Truth]]:
    """`rate` messages a second from `start` on, without end."""
    chat = Chat(seed, users=users)
    written = 0
    while True:
        yield chat.write(start + timedelta(seconds=written / rate))
        written += 1
