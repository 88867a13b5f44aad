"""The receivers of examples/, run as their readers run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from schemas.codec import encode
from schemas.signature import MAX_BODY_BYTES, sign
from tests.flags import make_flag

from .conftest import SECRET

RECEIVERS = Path(__file__).parent.parent.parent / "examples" / "receivers"
BODY = encode(make_flag(1))


def post(port: int, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (ConnectionError, urllib.error.URLError):
        # It closed the connection while we were still sending.
        return 413


def command(language: str) -> list[str]:
    if language == "python":
        return [sys.executable, "receiver.py", "0"]
    node = shutil.which("node")
    if node is None:
        pytest.skip("JavaScript example: needs Node.js")
    return [node, "receiver.js", "0"]


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.parametrize("secret", [SECRET, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
def test_a_receiver_acts_once_on_what_is_signed_and_on_nothing_else(language: str, secret: str) -> None:
    process = subprocess.Popen(
        command(language), cwd=RECEIVERS / language, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "WEBHOOK_SECRET": secret, "PYTHONPATH": str(RECEIVERS.parent.parent)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        now_s = int(time.time())

        def signed(body: bytes = BODY, *, at_s: int = now_s, key: str = secret) -> dict[str, str]:
            return sign(body, message_id="flag-1", at_s=at_s, secrets=[key])

        assert post(port, BODY, signed()) == 204
        assert post(port, BODY, signed()) == 204
        assert post(port, BODY, sign(BODY, message_id="flag-1", at_s=now_s, secrets=["another secret of enough length", secret])) == 204
        assert post(port, BODY, signed(key="another secret of enough length")) == 401
        assert post(port, BODY + b" ", signed()) == 401
        assert post(port, BODY, signed(at_s=now_s - 400)) == 401
        assert post(port, BODY, signed(at_s=now_s + 400)) == 401
        assert post(port, BODY, {}) == 401
        large = b" " * (MAX_BODY_BYTES + 1)
        assert post(port, large, signed(large)) == 413
        assert post(port, BODY, signed()) == 204, "it goes on"
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=30)
    assert out.split() == ["review", "user-1", "flag-1"]
