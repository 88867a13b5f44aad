"""`flagstream dead-letters`: what is shown, to whom, and what a script gets."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from stream.settings import Settings

from .conftest import Lying, Put

Run = Callable[..., tuple[int, str, str]]
SECRET = "wire 500 to DE89370400440532013000"


@pytest.fixture
def letters(run: Run, settings: Settings) -> Run:
    """`flagstream dead-letters …` on this test's topics."""

    def command(*arguments: str) -> tuple[int, str, str]:
        return run("dead-letters", *arguments, FLAGSTREAM_BROKER=settings.broker or "", FLAGSTREAM_PREFIX=settings.prefix, COLUMNS="200")

    return command


def test_a_list_shows_place_and_reason_and_never_what_is_in_a_letter(letters: Run, put: Put) -> None:
    letter = put(7, key=b"account-4711", value=SECRET.encode(), headers=(("trace", b"abc-trace"),), repeat=2)
    code, out, error = letters("list")
    assert code == 0
    assert letter.id[:12] in out
    assert "messages/1@7" in out
    assert "text: Field required" in out
    assert "1 dead letters: Malformed 1" in error
    for shown in (out, letters("list", "--json")[1], letters("show", letter.id)[1], letters("show", letter.id, "--json")[1]):
        assert letter.id[:12] in shown
        assert not any(word in shown for word in ("DE8937", "account-4711", "abc-trace"))


def test_only_reveal_shows_the_record(letters: Run, put: Put) -> None:
    letter = put(7, key=b"account-4711", value=SECRET.encode() + b"\xff\x1b[2J", headers=(("trace", b"abc-trace"),))
    code, out, _ = letters("show", letter.id[:8], "--reveal")
    assert code == 0
    assert all(word in out for word in (SECRET, "account-4711", "trace: abc-trace"))
    assert "\x1b" not in out
    found = json.loads(letters("show", letter.id, "--reveal", "--json")[1])
    assert found["key"] == {"base64": "YWNjb3VudC00NzEx", "text": "account-4711"}
    assert found["value"]["text"] is None, "it is no UTF-8"
    assert found["headers"] == [{"name": "trace", "value": {"base64": "YWJjLXRyYWNl", "text": "abc-trace"}}]


def test_a_list_can_be_narrowed_down(letters: Run, put: Put) -> None:
    put(1)
    put(2, topic="transactions", reason="amount_minor: Input should be a number")
    put(3, topic="flags", sink="hook", reason="answered 500")

    def offsets(*options: str) -> list[int]:
        return sorted(letter["offset"] for letter in json.loads(letters("list", "--json", *options)[1])["letters"])

    assert offsets() == [1, 2, 3]
    assert offsets("--topic", "messages", "--topic", "flags") == [1, 3]
    assert offsets("--reason", "amount") == [2]
    assert offsets("--reason", "malformed") == [1, 2, 3]
    assert offsets("--sink", "hook", "--sink", "none") == [3]
    assert offsets("--since", "1h") == [1, 2, 3]
    assert offsets("--since", "2100-01-01") == []
    assert len(offsets("--max", "2")) == 2
    assert letters("retry", "--topic", "messages")[0] == 0
    assert offsets("--state", "retried") == [1]
    assert offsets("--state", "open") == [2, 3]


def test_a_retry_prints_one_document_and_fails_where_something_was_refused(letters: Run, put: Put, lying: Lying) -> None:
    good, bad = put(1), put(2, value=None)
    code, out, _ = letters("retry", "--all", "--json", "--dry-run")
    assert (code, json.loads(out)["would_be_retried"]) == (1, 1)
    code, out, _ = letters("retry", "--all", "--json")
    found = json.loads(out)
    assert code == 1
    assert {one["id"]: one["outcome"] for one in found.pop("letters")} == {good.id: "retried", bad.id: "refused"}
    assert found == {"retried": 1, "would_be_retried": 0, "already_retried": 0, "refused": 1, "dry_run": False}
    code, out, _ = letters("retry", good.id)
    assert code == 0
    assert "already retried" in out
    assert len(lying("messages")) == 1


def test_wrong_use_is_one_line(letters: Run, put: Put) -> None:
    put(1)
    for arguments, words in (
        (("retry",), "retry which?"), (("show", "abc"), "at least the first 6"), (("show", "abcdef012345"), "no dead letter"),
        (("list", "--state", "gone"), "open, retried, unclear"), (("list", "--since", "soon"), "--since"), (("retry", "abcdef0"), "no dead letter"),
    ):  # fmt: skip
        code, _, error = letters(*arguments)
        assert code == 2
        (line,) = error.strip().splitlines()
        assert words in line


def test_without_letters_it_says_so(letters: Run) -> None:
    code, out, error = letters("list")
    assert (code, out) == (0, "")
    assert "0 dead letters" in error
    assert letters("retry", "--all")[0] == 0
