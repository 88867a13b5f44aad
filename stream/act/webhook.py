"""A flag by HTTP POST, signed as Standard Webhooks 1.0 describes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence

from schemas.codec import encode
from schemas.flag import Flag
from schemas.signature import ID_HEADER, sign
from stream.act.answer import Answer
from stream.act.endpoint import Endpoint

IDEMPOTENCY_HEADER = "Idempotency-Key"
"""The same as `webhook-id`, under the name that many frameworks look for."""


class Webhook:
    """Posts flags to `endpoint` with a signature for each of `secrets` (none: unsigned) and some fixed `headers`."""

    def __init__(self, endpoint: Endpoint, *, secrets: Sequence[str], headers: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._secrets = tuple(secrets)
        self._headers = dict(headers)

    async def open(self) -> None:
        """Open the endpoint."""
        await self._endpoint.open()

    async def close(self) -> None:
        """Close the endpoint."""
        await self._endpoint.close()

    async def send(self, flag: Flag) -> Answer:
        """Each attempt is signed anew, so that a late one is not taken for a replay."""
        body = encode(flag)
        key = key_of(flag)
        signed = sign(body, message_id=key, at_s=int(time.time()), secrets=self._secrets) if self._secrets else {ID_HEADER: key}
        return await self._endpoint.post(body, {**self._headers, **signed, IDEMPOTENCY_HEADER: key})


def key_of(flag: Flag) -> str:
    """The idempotency key: the flag's id or, where it could not stand in a header, a digest of it."""
    if flag.id.isascii() and flag.id.isprintable() and " " not in flag.id and "." not in flag.id:
        return flag.id
    return hashlib.sha256(flag.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
