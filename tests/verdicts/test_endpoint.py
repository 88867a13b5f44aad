"""POST /verdicts over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from schemas.verdict import Verdict
from stream.publisher import Publisher, new_producer
from stream.settings import Settings
from stream.verdicts.endpoint import MAX_BODY_BYTES, MAX_VERDICTS, VerdictDoor, is_loopback
from stream.verdicts.say import Subject
from stream.web import serving

TOKEN = "correct-horse-battery-staple"
SPAM = {"event_id": "e1", "label": "spam", "outcome": "confirmed"}
FLAGS = {"f1": Subject("e1", "f1", ("spam",)), "f2": Subject("e2", "f2", ("spam", "scam"))}

Said = Callable[[], list[Verdict]]


class Client:
    """Posts to one server."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def request(self, method: str = "POST", path: str = "/verdicts", **options: Any) -> tuple[int, dict[str, Any], Any]:
        """Status, JSON document and headers of the answer."""
        async with self._session.request(method, f"http://{self._address}{path}", **options) as answer:
            assert answer.content_type == "application/json"
            return answer.status, await answer.json(), answer.headers

    async def post(self, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """The same for a JSON body."""
        status, document, _ = await self.request(json=body, headers=headers)
        return status, document


Open = Callable[..., Any]


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Open]:
    """Starts a server with these settings, and gives a client of it."""
    async with asyncio.TaskGroup() as group:
        ended = asyncio.Event()
        producer = new_producer(settings)
        await producer.start()

        async def start(**changed: Any) -> Client:
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()

            async def serve() -> None:
                chosen = settings.model_copy(update={"web_port": 0, **changed})
                door = VerdictDoor(chosen, Publisher(producer), FLAGS.get)
                async with serving(chosen, healthy=lambda: True, ready=lambda: True, door=door) as address, aiohttp.ClientSession() as session:
                    ready.set_result(Client(session, address.replace("0.0.0.0", "127.0.0.1")))
                    await ended.wait()

            group.create_task(serve())
            return await ready

        yield start
        ended.set()
        await producer.stop()


async def read(said: Said) -> list[Verdict]:
    return await asyncio.to_thread(said)


async def test_a_verdict_on_a_flag_is_published_before_it_is_answered(client: Open, said: Said) -> None:
    at = {"occurred_at": "2026-01-01T00:00:00Z", "source": "desk", "outcome": "overturned", "flag_id": "f1"}
    status, document = await (await client()).post(at)
    (verdict,) = await read(said)
    assert (status, document) == (200, {"published": 1, "verdicts": [{"id": verdict.id, "event_id": "e1", "label": "spam"}]})
    assert (verdict.event_id, verdict.flag_id, verdict.label, verdict.outcome, verdict.source) == ("e1", "f1", "spam", "overturned", "desk")


async def test_verdicts_come_in_batches_and_on_events_without_a_flag(client: Open, said: Said) -> None:
    batch = [{"event_id": f"e{number}", "label": "spam", "outcome": "confirmed", "id": f"v{number}"} for number in range(MAX_VERDICTS)]
    opened = await client()
    assert (await opened.post(batch))[1]["published"] == MAX_VERDICTS
    assert {one.id for one in await read(said)} == {f"v{number}" for number in range(MAX_VERDICTS)}
    status, document = await opened.post([*batch, SPAM])
    assert (status, document["error"]) == (413, f"more than {MAX_VERDICTS} verdicts: send fewer at a time")


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"outcome": "maybe", "flag_id": "f1"}, "outcome"), ({"outcome": "confirmed"}, "flag_id or event_id"), ({}, "outcome"), ([], "valid"),
        ("x", "valid"), (None, "valid"), ({"outcome": "confirmed", "flag_id": "f2"}, "for which label"),
        ({"outcome": "confirmed", "flag_id": "gone"}, "not known here"), ({**SPAM, "label": "rudeness"}, "unknown label"),
        ({**SPAM, "outcome": "fraud"}, "confirmed or overturned"), ({**SPAM, "colour": 1}, "colour"), ({**SPAM, "event_id": "x" * 300}, "event_id"),
        ({**SPAM, "flag_id": "f2"}, "another event"), ({**SPAM, "occurred_at": "2099-01-01T00:00:00Z"}, "ahead"),
        ({**SPAM, "occurred_at": "soon"}, "occurred_at"),
    ],
)  # fmt: skip
async def test_what_cannot_be_said_is_named_and_nothing_is_published(client: Open, said: Said, item: object, words: str) -> None:
    status, document = await (await client()).post([SPAM, item])
    assert (status, document["error"]) == (400, "nothing was published")
    (fault,) = document["faults"]
    assert fault["index"] == 1
    assert words in fault["error"]
    assert await read(said) == []


async def test_hostile_requests_are_answered_in_json(client: Open) -> None:
    opened = await client()
    as_json = {"Content-Type": "application/json"}
    for expected, options in (
        (405, {"method": "GET"}), (405, {"method": "DELETE"}), (404, {"path": "/verdict"}), (415, {"data": b"{}"}),
        (415, {"data": b"{}", "headers": {"Content-Type": "text/plain"}}), (400, {"data": b"{", "headers": as_json}),
        (400, {"data": b"", "headers": as_json}), (400, {"data": b"[]", "headers": as_json}), (400, {"data": b"\xff", "headers": as_json}),
        (400, {"data": b"[" * 100_000, "headers": as_json}), (400, {"data": b'{"outcome": NaN}', "headers": as_json}),
        (413, {"data": io.BytesIO(b" " * (MAX_BODY_BYTES + 1)), "headers": as_json}),
    ):  # fmt: skip
        status, document, headers = await opened.request(**options)
        assert (status, set(document) >= {"error"}) == (expected, True), (options, document)
        if status == 405:
            assert headers["Allow"] in ("POST", "POST,OPTIONS")
    assert (await opened.request("GET", "/health"))[0] == 200


async def test_with_a_token_only_who_knows_it_is_heard(client: Open, said: Said) -> None:
    opened = await client(web_token=SecretStr(TOKEN))
    for header in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {TOKEN}"},
                   {"Authorization": TOKEN}, {"Authorization": "Bearer café"}):  # fmt: skip
        status, document, headers = await opened.request(data=b"not even looked at", headers=header)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert TOKEN not in json.dumps(document)
    assert await read(said) == []
    assert (await opened.post(SPAM, Authorization=f"Bearer {TOKEN}"))[0] == 200
    assert (await opened.request("GET", "/health"))[0] == 200


async def test_off_loopback_without_a_token_the_door_stays_shut(client: Open, said: Said) -> None:
    status, document = await (await client(web_host="0.0.0.0")).post(SPAM)
    assert status == 403
    assert "FLAGSTREAM_WEB_TOKEN" in document["error"]
    assert (await (await client(web_host="0.0.0.0", web_token=SecretStr(TOKEN))).post(SPAM, Authorization=f"Bearer {TOKEN}"))[0] == 200
    assert len(await read(said)) == 1


async def test_a_page_that_only_pretends_to_be_this_machine_is_refused(client: Open) -> None:
    status, document = await (await client()).post(SPAM, Host="evil.example:6066")
    assert (status, document["error"]) == (403, "without a token only for this machine")


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("", False)],
)
def test_loopback_is_told_from_everything_else(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


async def test_a_broker_that_does_not_answer_is_said(client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr("stream.verdicts.endpoint.PUBLISH_TIMEOUT_S", 0.1)
    monkeypatch.setattr(Publisher, "send", never)
    status, document, headers = await (await client()).request(json=SPAM)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "again" in document["error"]
