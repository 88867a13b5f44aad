"""An HTTP endpoint of a sink: one POST, and what its answer means."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp

from schemas.dead_letter import Response
from stream.act.answer import Again, Answer, Delivered, Refused

MAX_ANSWER_BYTES = 4096
"""So much of an answer is read and kept in a dead letter."""
MAX_RETRY_AFTER_S = 3600.0
AGAIN = frozenset({408, 425, 429})
"""Client errors that pass by themselves. So do all server errors (5xx)."""
WAIT = frozenset({429, 503})
"""With `Retry-After` they ask for a pause, and do not count as attempts."""
USER_AGENT = "flagstream"


class Endpoint:
    """Posts to one URL over connections of its own. Follows no redirect, keeps no cookie, takes no proxy from the environment."""

    def __init__(self, url: str, *, timeout_s: float, connections: int) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """A pool of its own: an endpoint that hangs takes no connection from another."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            trust_env=False,
            auto_decompress=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST `body` as JSON."""
        assert self._session is not None, "post before open"
        try:
            async with self._session.post(
                self._url, data=body, headers={**headers, "Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                said = await _beginning(response)
                return answer_of(response.status, said, retry_after=response.headers.get("Retry-After"), now_s=time.time())
        except TimeoutError:
            return Again(reason=f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its class alone: the message may quote the URL, which may be a secret.
            return Again(reason=type(error).__name__)


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first `MAX_ANSWER_BYTES` of what it says; the status counts whatever becomes of the rest."""
    said = b""
    try:
        while len(said) < MAX_ANSWER_BYTES:
            chunk = await response.content.read(MAX_ANSWER_BYTES - len(said))
            if not chunk:
                break
            said += chunk
        else:
            # There may be more, without end: the connection is not used again.
            response.close()
    except (aiohttp.ClientError, OSError, TimeoutError):
        response.close()
    return said.decode("utf-8", "replace")


def answer_of(status: int, said: str, *, retry_after: str | None, now_s: float) -> Answer:
    """What HTTP `status` means for the flag."""
    if 200 <= status < 300:
        return Delivered()
    response = Response(status=status, body=said)
    if 300 <= status < 400:
        return Refused(reason=f"HTTP {status}: redirects are not followed", response=response)
    if status in AGAIN or status >= 500:
        after_s = retry_after_s(retry_after, now_s=now_s)
        return Again(reason=f"HTTP {status}", response=response, after_s=after_s, counts=after_s is None or status not in WAIT)
    return Refused(reason=f"HTTP {status}", response=response)


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """Seconds that a `Retry-After` asks for, as a number or a date; at most an hour, None where it says nothing that makes sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - now_s
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
