"""Signs webhooks, and verifies them where they arrive, as Standard Webhooks 1.0 describes. It needs the standard library alone: a
receiver may import it, or copy this file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

ID_HEADER = "webhook-id"
"""The id of the flag, the same in every delivery: the idempotency key."""
TIMESTAMP_HEADER = "webhook-timestamp"
"""When this attempt was signed, in whole seconds since 1970."""
SIGNATURE_HEADER = "webhook-signature"
"""`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, separated by spaces, while a secret is being changed."""
ENCODED = "whsec_"
"""What a secret starts with that is written in base64."""
TOLERANCE_S = 300.0
MAX_BODY_BYTES = 1024 * 1024
LEAST_SECRET_BYTES = 24


class SignatureError(ValueError):
    """A webhook that must not be acted on. The message says why, and quotes neither body nor secret."""


def sign(body: bytes, *, message_id: str, at_s: int, secrets: Sequence[str]) -> dict[str, str]:
    """The headers that `verify` wants, with one signature for each of `secrets`. Raises `SignatureError` for a secret that is too
    short or no base64."""
    stamp = str(at_s)
    content = _content(message_id, stamp, body)
    signatures = " ".join(f"v1,{base64.b64encode(_mac(key_of(secret), content)).decode()}" for secret in secrets)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: signatures}


def verify(
    body: bytes,
    headers: Mapping[str, str],
    *,
    secrets: Sequence[str],
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
    max_body_bytes: int = MAX_BODY_BYTES,
) -> str:
    """The id of the webhook with this raw `body` and these `headers` (names in any case), signed with one of `secrets` within
    `tolerance_s` of `now_s` (seconds since 1970). Whoever keeps the ids of the last `2 * tolerance_s` and drops what comes again is
    safe from replays. Comparisons take the same time whatever they find. Raises `SignatureError`."""
    if len(body) > max_body_bytes:
        raise SignatureError(f"a body of {len(body)} bytes, over the limit of {max_body_bytes}")
    if not secrets:
        raise SignatureError("no secret to verify with")
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not given.get(name)]
    if missing:
        raise SignatureError(f"no header {missing[0]}")
    stamp = given[TIMESTAMP_HEADER]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise SignatureError(f"{TIMESTAMP_HEADER} is no time in whole seconds")
    age_s = now_s - int(stamp)
    if abs(age_s) > tolerance_s:
        raise SignatureError(f"signed {abs(age_s):.0f} s {'ago' if age_s > 0 else 'in the future'}, more than {tolerance_s:.0f} s")
    content = _content(given[ID_HEADER], stamp, body)
    wanted = [_mac(key_of(secret), content) for secret in secrets]
    matches = [hmac.compare_digest(mac, found) for found in _signatures(given[SIGNATURE_HEADER]) for mac in wanted]
    if not any(matches):
        raise SignatureError("the signature does not match")
    return given[ID_HEADER]


def key_of(secret: str) -> bytes:
    """The key behind a secret: base64 after `whsec_`, else its own bytes in UTF-8. Raises `SignatureError` when it has fewer than
    `LEAST_SECRET_BYTES`."""
    try:
        key = base64.b64decode(secret.removeprefix(ENCODED), validate=True) if secret.startswith(ENCODED) else secret.encode()
    except (binascii.Error, ValueError):
        raise SignatureError(f"a secret that starts with {ENCODED} goes on in base64") from None
    if len(key) < LEAST_SECRET_BYTES:
        raise SignatureError(f"a secret of {len(key)} bytes; at least {LEAST_SECRET_BYTES} are needed")
    return key


def _content(message_id: str, stamp: str, body: bytes) -> bytes:
    return b"%b.%b.%b" % (message_id.encode("utf-8", "surrogateescape"), stamp.encode(), body)


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def _signatures(header: str) -> list[bytes]:
    """The signatures of version 1; others, and what is no base64, are none of ours. At most 16: each costs a comparison."""
    found = []
    for part in header.split()[:16]:
        version, _, encoded = part.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(encoded, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
