"""Webhooks that must be accepted, and those that must not."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.signature import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, SignatureError, sign, verify

SECRET = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
BODY = b'{"id":"flag-1"}'
NOW_S = 1_767_323_045


def signed(body: bytes = BODY, *, at_s: int = NOW_S, secrets: tuple[str, ...] = (SECRET,)) -> dict[str, str]:
    return sign(body, message_id="flag-1", at_s=at_s, secrets=secrets)


def check(headers: dict[str, str], body: bytes = BODY, *, secrets: tuple[str, ...] = (SECRET,)) -> str:
    return verify(body, headers, secrets=secrets, now_s=NOW_S + 1)


def test_what_was_signed_is_accepted_whatever_the_case_of_its_headers() -> None:
    assert check(signed()) == "flag-1"
    assert check({name.upper(): value for name, value in signed().items()}) == "flag-1"


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of its specification.
    body = b'{"test": 2432232314}'
    headers = {
        ID_HEADER: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        TIMESTAMP_HEADER: "1614265330",
        SIGNATURE_HEADER: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert verify(body, headers, secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], now_s=1614265330) == headers[ID_HEADER]


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (signed(secrets=(OTHER,)), BODY, "does not match"),
        (signed(), BODY + b" ", "does not match"),
        ({**signed(), ID_HEADER: "flag-2"}, BODY, "does not match"),
        ({**signed(), TIMESTAMP_HEADER: str(NOW_S + 2)}, BODY, "does not match"),
        (signed(at_s=NOW_S - 300), BODY, "signed 301 s ago"),
        (signed(at_s=NOW_S + 302), BODY, "in the future"),
        ({**signed(), TIMESTAMP_HEADER: "yesterday"}, BODY, "no time"),
        ({**signed(), TIMESTAMP_HEADER: "9" * 400}, BODY, "no time"),
        ({**signed(), TIMESTAMP_HEADER: "١٢"}, BODY, "no time"),
        ({**signed(), SIGNATURE_HEADER: "v1,%%% v2,AAAA v1"}, BODY, "does not match"),
        ({**signed(), SIGNATURE_HEADER: ""}, BODY, "no header webhook-signature"),
        ({}, BODY, "no header webhook-id"),
    ],
)
def test_what_is_wrong_is_rejected(headers: dict[str, str], body: bytes, why: str) -> None:
    with pytest.raises(SignatureError, match=why):
        check(headers, body)


def test_a_body_over_the_limit_is_rejected_before_anything_is_computed() -> None:
    body = b"x" * 101
    with pytest.raises(SignatureError, match="101 bytes, over the limit of 100"):
        verify(body, signed(body), secrets=[SECRET], now_s=NOW_S, max_body_bytes=100)


def test_while_a_secret_is_changed_either_side_may_be_first() -> None:
    assert check(signed(secrets=(OTHER, SECRET))) == "flag-1"
    assert check(signed(), secrets=(OTHER, SECRET)) == "flag-1"


@pytest.mark.parametrize("secret", ["short", "whsec_" + base64.b64encode(b"short").decode(), "whsec_no base64 at all, really none"])
def test_a_secret_that_is_too_short_or_garbled_signs_nothing(secret: str) -> None:
    with pytest.raises(SignatureError):
        signed(secrets=(secret,))
    with pytest.raises(SignatureError):
        check(signed(), secrets=(secret,))


def test_without_a_secret_nothing_is_accepted() -> None:
    with pytest.raises(SignatureError, match="no secret"):
        check({**signed(), SIGNATURE_HEADER: ""}, secrets=())


@given(st.binary(max_size=64), st.dictionaries(st.sampled_from([ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER]), st.text()))
def test_verification_is_total(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(SignatureError):
        verify(body, headers, secrets=[SECRET], now_s=NOW_S)


def test_a_receiver_needs_the_standard_library_alone() -> None:
    source = Path(__file__).parent.parent.parent / "schemas" / "signature.py"
    code = f"import runpy; runpy.run_path({str(source)!r})"
    # -S: without site-packages.
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)
