"""`flagstream act` as a process, against HTTP servers, commands, files and topics that are really there."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from schemas.codec import encode
from schemas.flag import Flag, LabelScore
from stream.settings import Settings
from tests.conftest import Run
from tests.flags import make_flag

from .conftest import Receiver, Stage, until

pytestmark = pytest.mark.timeout(400)
Receivers = Callable[..., Receiver]


def webhook(name: str, one: Receiver, **options: object) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    return f'[sinks.{name}]\ntype = "webhook"\nurl = "{one.url}"\nsecret_env = "HOOK_SECRET"\nstart = "earliest"\n{lines}'


def everything_to(*names: str) -> str:
    return f"[[rules]]\nto = {json.dumps(names)}\n"


def ids(count: int) -> set[str]:
    return {f"flag-{number}" for number in range(count)}


def test_each_flag_is_posted_once_signed_and_in_order_for_its_entity(stage: Stage, receiver: Receivers) -> None:
    one = receiver(delay_s=0.005)
    stage.publish(*(make_flag(number) for number in range(300)), b"no flag", make_flag(7))
    process = stage.start(webhook("hook", one) + everything_to("hook"))
    until(lambda: stage.uncommitted("hook") == 0)
    assert one.taken == Counter(ids(300))
    assert len(one.seen) == 300
    assert one.problems == []
    assert one.in_order
    assert 1 < one.most_at_once <= 8
    assert json.loads(one.bodies[0])["version"] == 1
    samples = stage.metrics()
    assert samples['flagstream_actions_total{outcome="delivered",sink="hook"}'] == 300
    assert samples['flagstream_action_unreadable_total{sink="hook"}'] == 1
    assert stage.terminate(process) == 0
    stage.start(webhook("hook", one) + everything_to("hook"))
    stage.publish(make_flag(300))
    until(lambda: "flag-300" in one.taken)
    assert len(one.seen) == 301, "a clean stop repeats nothing"


def test_what_fails_in_passing_is_tried_again_and_what_is_refused_becomes_a_dead_letter(stage: Stage, receiver: Receivers) -> None:
    def moody(request: web.Request, number: int) -> web.StreamResponse | None:
        key = request.headers["Idempotency-Key"]
        if key == "flag-3":
            return web.Response(status=422, text="no such user")
        if key == "flag-4":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if key == "flag-5":
            return web.Response(status=500, text="broken")
        return web.Response(status=503) if number % 3 == 0 else None

    one = receiver(behave=moody)
    stage.publish(*(make_flag(number) for number in range(60)))
    stage.start(webhook("hook", one, first_backoff_s=0.02, max_backoff_s=0.1, breaker_failures=1000, attempts=25) + everything_to("hook"))
    until(lambda: stage.uncommitted("hook") == 0)
    assert set(one.taken) == ids(60) - {"flag-3", "flag-4", "flag-5"}
    assert one.problems == [], "each attempt carries a signature of its own time"
    letters = {Flag.model_validate_json(letter.value or b"").id: letter for letter in stage.dead_letters()}
    assert set(letters) == {"flag-3", "flag-4", "flag-5"}
    refused, moved, broken = (letters[f"flag-{number}"] for number in (3, 4, 5))
    assert refused.error_class == "Refused"
    assert refused.error_text == "HTTP 422"
    assert refused.response is not None
    assert (refused.response.status, refused.response.body) == (422, "no such user")
    assert (refused.sink, refused.topic, refused.attempt) == ("hook", f"{stage.prefix}flags", 1)
    assert refused.value == encode(make_flag(3))
    assert "redirects are not followed" in moved.error_text
    assert broken.error_class == "GaveUp"
    assert broken.error_text == "25 attempts failed, the last with HTTP 500"
    assert len(set(one.seen)) == 60, "the redirect was not followed"


def test_a_dead_letter_that_is_retried_goes_to_its_own_sink_alone(stage: Stage, receiver: Receivers) -> None:
    bad, good = receiver(behave=lambda _, __: web.Response(status=400)), receiver()
    stage.publish(make_flag(1))
    stage.start(webhook("bad", bad) + webhook("good", good) + everything_to("bad", "good"))
    until(lambda: stage.uncommitted("bad") == stage.uncommitted("good") == 0)
    (letter,) = stage.dead_letters()
    retry = [sys.executable, "-m", "stream.cli", "dead-letters", "retry", letter.id]
    done = subprocess.run(retry, env=stage.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    until(lambda: len(stage.dead_letters()) > 3)
    again = [one for one in stage.dead_letters() if one.retried is None and one.id != letter.id]
    assert [(one.sink, one.attempt, one.topic) for one in again] == [("bad", 2, f"{stage.prefix}action-retries")]
    bad.behave = lambda _, __: None
    done = subprocess.run([*retry[:-1], again[0].id], env=stage.environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    until(lambda: bad.taken == Counter({"flag-1": 1}))
    assert good.seen == ["flag-1"]


def test_rules_say_which_flags_go_where_and_shadow_ones_go_nowhere(stage: Stage, receiver: Receivers) -> None:
    threat = (LabelScore(name="threat", score=0.7, threshold=0.5, severity="critical"),)
    scams, blocked = receiver(), receiver()
    stage.publish(
        make_flag(1), make_flag(2, labels=threat), make_flag(3, decision="block"), make_flag(4, labels=threat, decision="block"),
        make_flag(5, labels=threat, decision="block", mode="shadow"),
    )
    rules = '[[rules]]\nto = ["a"]\nlabels = ["threat"]\n[[rules]]\nto = ["a", "b"]\ndecisions = ["block"]\n'
    stage.start(webhook("a", scams) + webhook("b", blocked) + rules)
    until(lambda: stage.uncommitted("a") == stage.uncommitted("b") == 0)
    assert sorted(scams.seen) == ["flag-2", "flag-3", "flag-4"]
    assert sorted(blocked.seen) == ["flag-3", "flag-4"]


def test_a_command_a_file_a_topic_and_slack_get_it_too(stage: Stage, receiver: Receivers) -> None:
    slack = receiver(secrets=())
    script = stage.folder / "hold.py"
    script.write_text(
        "import json, os, sys\n"
        "flag = json.load(sys.stdin)\n"
        "if flag['id'] == 'flag-1':\n    print('cannot hold this', file=sys.stderr)\n    sys.exit(65)\n"
        f"open({str(stage.folder / 'held')!r}, 'a').write(flag['id'] + ' ' + ','.join(sorted(os.environ)) + '\\n')\n"
    )
    lines = stage.folder / "flags.jsonl"
    lines.write_text('{"id":"torn')
    admin = KafkaAdminClient(bootstrap_servers=stage.broker)
    admin.create_topics([NewTopic(f"{stage.prefix}cases", 2, 1)])
    admin.close()
    stage.environ["SLACK_URL"] = slack.url
    stage.environ["TOKEN"] = "very-secret"
    stage.publish(*(make_flag(number, entity="<!channel> *x*") for number in range(3)))
    stage.start(
        f'[sinks.hold]\ntype = "command"\ncommand = {json.dumps([sys.executable, str(script)])}\nenvironment = ["TOKEN"]\nstart = "earliest"\n'
        f'[sinks.log]\ntype = "file"\npath = "{lines}"\nstart = "earliest"\n'
        f'[sinks.cases]\ntype = "kafka"\ntopic = "{stage.prefix}cases"\nstart = "earliest"\n'
        '[sinks.people]\ntype = "slack"\nurl_env = "SLACK_URL"\nrate_per_s = 20\nstart = "earliest"\n'
        + everything_to("hold", "log", "cases", "people")
    )
    until(lambda: not any(stage.uncommitted(name) for name in ("hold", "log", "cases", "people")))
    held = [line.split() for line in (stage.folder / "held").read_text().splitlines()]
    assert [one[0] for one in held] == ["flag-0", "flag-2"]
    assert "TOKEN" in held[0][1]
    assert "HOOK_SECRET" not in held[0][1]
    assert "FLAGSTREAM" not in held[0][1]
    (letter,) = stage.dead_letters()
    assert (letter.sink, letter.error_text) == ("hold", "exit 65")
    assert letter.response is not None
    assert letter.response.body.strip() == "cannot hold this"
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()[1:]] == ["flag-0", "flag-1", "flag-2"]
    cases = stage.read(f"{stage.prefix}cases")
    assert sorted(Flag.model_validate_json(one.value).id for one in cases) == ["flag-0", "flag-1", "flag-2"]
    assert cases[0].key == b"<!channel> *x*"
    assert json.loads(slack.bodies[0])["text"].startswith("*review* spam 0.90 (low) · message of `&lt;!channel&gt; *x*`")
    assert "very-secret" not in stage.log()
    assert slack.url not in stage.log()


def test_a_new_sink_begins_with_what_comes_from_now_on_and_misses_nothing_while_it_is_down(stage: Stage, receiver: Receivers) -> None:
    one = receiver()
    rules = webhook("hook", one).replace("earliest", "latest") + everything_to("hook")
    stage.publish(*(make_flag(number) for number in range(20)))
    process = stage.start(rules)
    # Nothing has come yet, and still its position is known.
    assert stage.terminate(process) == 0
    stage.publish(*(make_flag(number) for number in range(20, 40)))
    stage.start(rules)
    until(lambda: stage.uncommitted("hook") == 0)
    assert set(one.taken) == ids(40) - ids(20)


def test_a_sink_that_hangs_holds_up_no_other_and_its_memory_is_bounded(stage: Stage, receiver: Receivers) -> None:
    stuck, fine = receiver(hang=True), receiver()
    stage.publish(*(make_flag(number) for number in range(400)))
    process = stage.start(webhook("stuck", stuck, timeout_s=4, held=50) + webhook("fine", fine) + everything_to("stuck", "fine"))
    until(lambda: stage.uncommitted("fine") == 0)
    assert fine.taken == Counter(ids(400))
    until(lambda: stage.metrics()['flagstream_action_held{sink="stuck"}'] == 50, "no more are held than the rules say")
    assert stuck.most_at_once <= 8
    assert stage.uncommitted("stuck") == 400
    assert stage.terminate(process) == 0


def test_flags_that_are_too_old_become_dead_letters_so_that_a_dead_endpoint_is_accounted_for(stage: Stage, receiver: Receivers) -> None:
    stuck = receiver(hang=True)
    stage.publish(*(make_flag(number) for number in range(100)))
    stage.start(
        webhook("stuck", stuck, timeout_s=0.2, max_age_s=3, breaker_failures=3, breaker_pause_s=0.5, held=20) + everything_to("stuck")
    )
    until(lambda: stage.uncommitted("stuck") == 0)
    letters = stage.dead_letters()
    assert {Flag.model_validate_json(letter.value or b"").id for letter in letters} == ids(100)
    assert len(letters) == 100
    assert {letter.error_class for letter in letters} <= {"TooOld", "GaveUp"}
    assert len(stuck.seen) < 60, "the breaker spared it most"


def test_two_processes_share_a_sink_and_one_may_leave(stage: Stage, receiver: Receivers) -> None:
    one = receiver(delay_s=0.01)
    rules = webhook("hook", one, held=20) + everything_to("hook")
    feeding = threading.Thread(target=stage.publish, args=[make_flag(number) for number in range(1_500)])
    first = stage.start(rules)
    feeding.start()
    until(lambda: len(one.taken) > 100)
    stage.start(rules)
    until(lambda: len(one.taken) > 600)
    assert stage.terminate(first) == 0
    feeding.join()
    until(lambda: stage.uncommitted("hook") == 0)
    assert set(one.taken) == ids(1_500)
    assert sum(one.taken.values()) == 1_500, "partitions are handed over with nothing under way"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_kill_9_in_the_middle_loses_nothing_and_the_key_tells_what_came_twice(stage: Stage, receiver: Receivers, kills: int) -> None:
    one = receiver(delay_s=0.002)
    rules = webhook("hook", one, held=50) + everything_to("hook")
    count = 400 * (kills + 1)
    feeding = threading.Thread(target=stage.publish, args=[make_flag(number) for number in range(count)])
    chance = random.Random(kills)
    process = stage.start(rules)
    feeding.start()
    for number in range(kills):
        least = 400 * number + chance.randrange(50, 350)
        until(lambda least=least: len(one.taken) > least)  # type: ignore[misc]
        process.kill()
        process.wait()
        process = stage.start(rules, wait=False)
    feeding.join()
    until(lambda: len(one.taken) == count and stage.uncommitted("hook") == 0, within_s=120)
    assert set(one.taken) == ids(count)
    assert sum(one.taken.values()) <= count + kills * 500, "ten times what is held may come again after a crash"
    assert one.in_order


def test_a_topic_that_is_not_there_is_one_line_and_neither_is_made_nor_has_the_sink_begun(stage: Stage) -> None:
    process = stage.start(f'[sinks.cases]\ntype = "kafka"\ntopic = "{stage.prefix}typo"\n' + everything_to("cases"), wait=False)
    assert process.wait(60) == 1
    told = [line for line in stage.log().splitlines() if line.startswith("flagstream: ")]
    assert told == [f"flagstream: topic {stage.prefix}typo is not there: create it, the rules name it"]
    admin = KafkaAdminClient(bootstrap_servers=stage.broker)
    assert f"{stage.prefix}typo" not in admin.list_topics()
    admin.close()
    # What it is corrected to begins as the file says then.
    stage.publish(make_flag(1))
    lines = stage.folder / "flags.jsonl"
    stage.start(f'[sinks.cases]\ntype = "file"\npath = "{lines}"\nstart = "earliest"\n' + everything_to("cases"))
    until(lambda: stage.uncommitted("cases") == 0)
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == ["flag-1"]


def test_a_port_that_is_taken_is_one_line_and_nothing_was_acted_on(stage: Stage, receiver: Receivers) -> None:
    one = receiver()
    stage.publish(*(make_flag(number) for number in range(20)))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        stage.environ["FLAGSTREAM_WEB_PORT"] = str(taken.getsockname()[1])
        process = stage.start(webhook("hook", one) + everything_to("hook"), wait=False)
        assert process.wait(60) == 2
    assert "set FLAGSTREAM_WEB_PORT" in stage.log().splitlines()[-1]
    assert one.seen == []


def test_without_a_port_it_does_not_take_the_workers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    async def noted(settings: Settings, *_: object, **__: object) -> None:
        told.append(settings.web_port)

    monkeypatch.setattr("stream.act.service.run", noted)
    monkeypatch.delenv("FLAGSTREAM_WEB_PORT", raising=False)
    file = tmp_path / "actions.toml"
    file.write_text('[sinks.log]\ntype = "file"\npath = "flags.jsonl"\n' + everything_to("log"))
    for options in ([], ["--web-port", "7000"]):
        assert run("act", str(file), *options)[0] == 0
    assert run("act", str(file), FLAGSTREAM_WEB_PORT="6066")[0] == 0
    assert told == [6067, 7000, 6066]
