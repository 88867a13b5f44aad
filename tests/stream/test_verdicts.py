"""Verdicts through a running worker: posted by the id of a flag, counted as precision."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.stream.conftest import Stage


def test_a_verdict_that_is_posted_for_a_flag_shows_in_the_precision_of_its_label(stage: Stage) -> None:
    stage.start_worker()
    address = next(line.split()[1] for line in stage.log(0).splitlines() if line.startswith("ready "))
    stage.send(1_500)
    stage.until_done()
    flag = next(flag for flag in stage.flags() if flag.kind == "message")
    label = flag.labels[0].name
    body = json.dumps({"flag_id": flag.id, "outcome": "confirmed", "label": label, "source": "test"}).encode()
    deadline = time.monotonic() + 30
    while True:
        request = urllib.request.Request(f"http://{address}/verdicts", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.load(answer)["published"] == 1
            break
        except urllib.error.HTTPError:
            # The flag has not been read into the window yet.
            assert time.monotonic() < deadline
            time.sleep(0.2)
    while True:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        if f'flagstream_precision{{label="{label}"}} 1.0' in text:
            break
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert len(stage.read("verdicts")) == 1
