"""POST /verdicts of the worker: verdicts of other services, published before they are answered."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from aiohttp import hdrs, web
from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from schemas.base import Moment, Name
from schemas.codec import describe
from schemas.verdict import Verdict, VerdictOutcome
from stream.errors import UsageError
from stream.names import Names
from stream.publisher import Publisher
from stream.settings import Settings
from stream.verdicts.say import Subject, verdict_record, verdicts_on

log = structlog.get_logger(__name__)

MAX_VERDICTS = 500
MAX_BODY_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 15.0
PUBLISH_TIMEOUT_S = 15.0
RETRY_AFTER_S = "5"
FIRST_FAULTS = 20
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

Find = Callable[[str], Subject | None]


class Said(BaseModel):
    """One verdict as it is posted: on a flag by `flag_id`, or on an event by `event_id` with its `label`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: VerdictOutcome
    flag_id: Name | None = None
    event_id: Name | None = None
    label: Name | tuple[Name, ...] | None = None
    source: Name = "http"
    occurred_at: Moment | None = None
    id: Name | None = None
    supersedes: Name | None = None


class VerdictDoor:
    """Takes verdicts over HTTP. `find` knows flags by their ids."""

    def __init__(self, settings: Settings, publisher: Publisher, find: Find) -> None:
        self._token = None if settings.web_token is None else settings.web_token.get_secret_value().encode()
        self._loopback = is_loopback(settings.web_host)
        self._publisher = publisher
        self._find = find
        self._topic = Names(settings.prefix).wire("verdicts")

    async def post(self, request: web.Request) -> web.Response:
        """Publish the verdicts of the body: one, or an array of up to `MAX_VERDICTS`; all of them or, where one cannot be said, none."""
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if request.content_type != "application/json":
            return problem(415, "send application/json")
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return problem(413, f"more than {MAX_BODY_BYTES} bytes: send fewer at a time")
        except TimeoutError:
            return problem(408, "the body did not come in time")
        try:
            posted = from_json(body, allow_inf_nan=False)
        except ValueError:
            return problem(400, "not JSON")
        items = posted if isinstance(posted, list) else [posted]
        if not items:
            return problem(400, "no verdicts")
        if len(items) > MAX_VERDICTS:
            return problem(413, f"more than {MAX_VERDICTS} verdicts: send fewer at a time")
        verdicts, faults = self._read(items)
        if faults:
            return problem(400, "nothing was published", faults=faults[:FIRST_FAULTS])
        return await self._publish(verdicts)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self._token is None:
            if not self._loopback:
                return problem(403, "verdicts are taken off loopback only with a token: set FLAGSTREAM_WEB_TOKEN")
            if request.url.host not in LOOPBACK_NAMES:
                # A page in a browser on this machine whose name was made to lead here.
                return problem(403, "without a token only for this machine")
            return None
        scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        known = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)
        if scheme.lower() != "bearer" or not known:
            return problem(401, "a bearer token is needed", headers={hdrs.WWW_AUTHENTICATE: "Bearer"})
        return None

    def _read(self, items: Sequence[object]) -> tuple[list[Verdict], list[dict[str, Any]]]:
        verdicts: list[Verdict] = []
        faults: list[dict[str, Any]] = []
        for number, item in enumerate(items):
            try:
                verdicts += self._verdicts(Said.model_validate(item))
            except ValidationError as error:
                faults.append({"index": number, "error": describe(error)})
            except UsageError as error:
                faults.append({"index": number, "error": str(error)})
        return verdicts, faults

    def _verdicts(self, said: Said) -> tuple[Verdict, ...]:
        labels = () if said.label is None else (said.label,) if isinstance(said.label, str) else said.label
        found = None if said.flag_id is None else self._find(said.flag_id)
        if found is None:
            if said.event_id is None:
                raise UsageError("event_id: needed, with label, as the flag is not known here (any more)" if said.flag_id else "flag_id or event_id")
            found = Subject(said.event_id, said.flag_id, ())
        elif said.event_id not in (None, found.event_id):
            raise UsageError("event_id: the flag is about another event")
        return verdicts_on(
            found, said.outcome, source=said.source, labels=labels, at=said.occurred_at, id=said.id, supersedes=said.supersedes
        )

    async def _publish(self, verdicts: Sequence[Verdict]) -> web.Response:
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                await self._publisher.send(verdict_record(verdict, self._topic) for verdict in verdicts)
        except (KafkaError, TimeoutError) as error:
            log.warning("verdicts.unpublished", error=type(error).__name__, verdicts=len(verdicts))
            return problem(503, "the broker did not take them; send them again", headers={hdrs.RETRY_AFTER: RETRY_AFTER_S})
        ids = [{"id": verdict.id, "event_id": verdict.event_id, "label": verdict.label} for verdict in verdicts]
        return web.json_response({"published": len(verdicts), "verdicts": ids})


def problem(status: int, error: str, *, headers: dict[str, str] | None = None, **more: Any) -> web.Response:  # noqa: ANN401 (JSON)
    """An error as JSON."""
    return web.json_response({"error": error, **more}, status=status, headers=headers)


@web.middleware
async def problems_as_json(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """What aiohttp refuses by itself (404, 405, …) is answered in JSON too."""
    try:
        answer: web.StreamResponse = await handler(request)
    except web.HTTPException as refused:
        if refused.status < 400:
            raise
        kept = {name: value for name, value in refused.headers.items() if name == hdrs.ALLOW}
        return problem(refused.status, refused.reason.lower(), headers=kept)
    return answer


def is_loopback(host: str) -> bool:
    """Whether a server at `host` is reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
