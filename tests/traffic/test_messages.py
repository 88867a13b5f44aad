"""The chat: shares of what is written, who writes it, and that it comes again from its seed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from schemas.labels import MESSAGE_LABELS
from schemas.message import Message
from stream.traffic.event import Truth
from stream.traffic.messages import Chat, messages

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
COUNT = 20_000


@pytest.fixture(scope="module")
def chat() -> list[tuple[Message, Truth]]:
    return list(islice(messages(11, start=START, rate=50.0), COUNT))


def test_most_is_harmless_and_some_is_not(chat: list[tuple[Message, Truth]]) -> None:
    kinds = Counter(truth.kind for _, truth in chat)
    assert set(kinds) == {"benign", "hard_negative", "harm"}
    assert 0.85 < kinds["benign"] / COUNT < 0.93
    assert 0.03 < kinds["hard_negative"] / COUNT < 0.06
    assert 0.03 < kinds["harm"] / COUNT < 0.09


def test_every_harm_occurs(chat: list[tuple[Message, Truth]]) -> None:
    labels = Counter(label for _, truth in chat for label in truth.labels)
    assert set(labels) == set(MESSAGE_LABELS)
    assert min(labels.values()) >= 15


def test_only_harm_is_disguised_and_each_disguise_occurs(chat: list[tuple[Message, Truth]]) -> None:
    disguised = Counter((truth.kind, truth.disguise) for _, truth in chat if truth.disguise)
    assert set(disguised) == {("harm", "leet"), ("harm", "spaced"), ("harm", "zero_width")}
    assert not any(truth.disguise for _, truth in chat if truth.detail == "self_harm")


def test_a_few_people_write_much_and_nobody_is_the_whole_chat(chat: list[tuple[Message, Truth]]) -> None:
    written = sorted(Counter(message.user_id for message, _ in chat).values(), reverse=True)
    assert 0.03 < sum(written[:20]) / COUNT < 0.3
    assert written[0] < 0.05 * COUNT
    assert len(written) > 1000


def test_spam_comes_in_bursts_of_one_sender(chat: list[tuple[Message, Truth]]) -> None:
    senders = Counter(message.user_id for message, truth in chat if truth.detail == "spam")
    assert len(senders) <= 20
    assert senders.most_common(1)[0][1] >= 6


def test_messages_are_evenly_spaced_and_have_ids_of_their_own(chat: list[tuple[Message, Truth]]) -> None:
    assert [message.occurred_at for message, _ in chat[:3]] == [START + timedelta(seconds=at / 50) for at in range(3)]
    assert len({message.id for message, _ in chat}) == COUNT


def test_a_reply_is_to_an_earlier_message(chat: list[tuple[Message, Truth]]) -> None:
    seen: set[str] = set()
    replies = 0
    for message, _ in chat:
        if message.reply_to:
            replies += 1
            assert message.reply_to in seen
        seen.add(message.id)
    assert replies > 0.1 * COUNT


def test_languages_are_told_by_some(chat: list[tuple[Message, Truth]]) -> None:
    langs = Counter(message.lang for message, truth in chat if truth.kind == "benign")
    assert {None, "en", "de", "es", "fr", "tr"} == set(langs)


def test_the_same_seed_writes_the_same_and_another_does_not() -> None:
    def written(seed: int) -> list[tuple[Message, Truth]]:
        chat = Chat(seed, users=200)
        return [chat.write(START) for _ in range(500)]

    assert written(3) == written(3)
    other = written(4)
    assert {message.id for message, _ in written(3)}.isdisjoint(message.id for message, _ in other)
    assert [message.text for message, _ in written(3)] != [message.text for message, _ in other]


def test_a_crowd_of_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="10 users"):
        Chat(1, users=9)
