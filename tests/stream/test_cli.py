"""Wrong use ends in one clear line and exit code 2, failure in one line and 1; a traceback only with --debug."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models.bundle import ARTIFACTS
from stream import topics
from stream.settings import Settings
from tests.first_models import bundle_with

Run = Callable[..., tuple[int, str, str]]


def _one_line(error: str) -> str:
    (line,) = error.strip().splitlines()
    assert line.startswith("flagstream: ")
    assert "Traceback" not in line
    return line


def test_an_unreachable_broker_is_one_line_and_exit_code_1(run: Run) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, _, error = run("topics", "list", "--broker", f"127.0.0.1:{port}")
    assert code == 1
    assert f"127.0.0.1:{port}" in _one_line(error)


@pytest.mark.parametrize("command", [("topics", "create"), ("worker",)])
def test_without_a_broker_the_line_says_how_to_give_one(run: Run, command: tuple[str, ...]) -> None:
    code, _, error = run(*command)
    assert code == 2
    assert "FLAGSTREAM_BROKER" in _one_line(error)


def test_topics_create_names_every_topic_that_it_makes_and_then_finds(run: Run, embedded: str) -> None:
    names = {f"p-{topic.name}" for topic in topics.ALL}
    assert "p-terminal-visits" in names
    command = ("topics", "create", "--broker", embedded, "--prefix", "p-")
    code, out, _ = run(*command)
    assert (code, {tuple(line.split()) for line in out.splitlines()}) == (0, {("created", name) for name in names})
    code, out, _ = run(*command)
    assert (code, {tuple(line.split()) for line in out.splitlines()}) == (0, {("there", name) for name in names})
    code, out, _ = run(*command, "--json")
    found = json.loads(out)
    assert (code, found["created"], set(found["there"])) == (0, [], names)
    listed = json.loads(run("topics", "list", "--broker", embedded, "--prefix", "p-", "--json")[1])
    assert {state["name"] for state in listed} == names


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"FLAGSTREAM_BROKERS": "x:1"}, "brokers"),
        ({"FLAGSTREAM_BROKER": "nonsense"}, "broker"),
        ({"FLAGSTREAM_WEB_PORT": "99999"}, "web_port"),
        ({"FLAGSTREAM_LOG": "loud"}, "log"),
        ({"FLAGSTREAM_PREFIX": "a b"}, "prefix"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source(run: Run, environ: dict[str, str], named: str) -> None:
    code, _, error = run("settings", **environ)
    assert code == 2
    line = _one_line(error)
    assert named in line
    assert "environment" in line


def test_settings_come_from_flags_then_environment_then_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "flagstream.toml").write_text('group = "from-file"\nprefix = "file-"\n')
    code, out, _ = run("settings", "--json", FLAGSTREAM_PREFIX="env-")
    found = json.loads(out)
    assert code == 0
    assert found["group"] == {"value": "from-file", "source": "flagstream.toml"}
    assert found["prefix"] == {"value": "env-", "source": "environment"}
    assert found["web_port"] == {"value": 6066, "source": "default"}


@pytest.mark.parametrize("text", ["group = ", "grup = 'x'", "\x00"])
def test_a_broken_settings_file_is_one_line(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "flagstream.toml").write_text(text)
    code, _, error = run("settings")
    assert code == 2
    assert "flagstream.toml" in _one_line(error)


def test_passwords_are_never_printed(run: Run) -> None:
    code, out, error = run("settings", FLAGSTREAM_SASL_PASSWORD="hunter2-secret")
    assert code == 0
    assert "hunter2-secret" not in out + error


def test_every_setting_is_documented_in_its_own_words() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "version = 2",
        "not toml",
        "[labels.nonsense]\nreview = 0.5\nseverity = 'low'",
        "name = 'x'\n[labels.hate]\nreview = 2\nseverity = 'low'",
        "name = 'x'\n[labels.hate]\nreview = 0.5\nblock = 0.4\nseverity = 'low'",
        "name = 'x'\n[labels]\n[labels.hate]\nreviev = 0.5",
    ],
)
def test_a_wrong_policy_is_one_line_with_the_file(run: Run, tmp_path: Path, policy: str) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(policy)
    code, _, error = run("policy", "check", str(file))
    assert code == 2
    assert "policy.toml" in _one_line(error)


def test_a_missing_policy_is_one_line(run: Run) -> None:
    code, _, error = run("policy", "check", "nowhere.toml")
    assert code == 2
    assert "nowhere.toml" in _one_line(error)


def test_the_shipped_bundles_are_intact_and_load(run: Run) -> None:
    code, out, _ = run("models", "verify")
    assert code == 0
    assert {line.split(":")[0] for line in out.splitlines()} >= {"fraud", "moderation"}


def test_a_first_model_is_listed_and_whether_the_policy_lets_it_clear(run: Run, tmp_path: Path) -> None:
    folder = bundle_with(tmp_path / "moderation").folder
    code, out, _ = run("models", "list", "--models", str(folder))
    assert (code, "FLAGSTREAM_CASCADE=on lets it clear texts" in out) == (0, True)
    policy = tmp_path / "low.toml"
    policy.write_text('version = 1\nname = "low"\n[labels.spam]\nreview = 0.1\nseverity = "low"\n')
    code, out, _ = run("models", "list", "--models", str(folder), "--json", FLAGSTREAM_POLICY=str(policy))
    (row,) = json.loads(out)
    assert (code, row["first"]["review"]["spam"]) == (0, 0.2)
    assert "spam from 0.1 on" in row["first"]["refuses"]
    code, out, _ = run("models", "verify", "--models", str(folder))
    assert code == 0


def test_an_altered_bundle_is_refused_before_anything_starts(run: Run, tmp_path: Path) -> None:
    models = tmp_path / "models"
    shutil.copytree(ARTIFACTS, models)
    with (models / "fraud" / "model.onnx").open("r+b") as file:
        file.seek(100)
        file.write(b"\x00\x01\x02\x03")
    code, _, error = run("models", "verify", "--models", str(models))
    assert code == 1
    assert "altered or damaged" in _one_line(error)
    code, _, error = run("worker", "--broker", "127.0.0.1:1", "--models", str(models), "--agents", "fraud")
    assert code == 2
    assert "altered or damaged" in _one_line(error)


@pytest.mark.parametrize(
    "command", [("score", "--kind", "x", "text"), ("replay", "--kind", "x"), ("bench", "stream", "--kind", "x"), ("bench", "latency", "--kind", "x")]
)
def test_a_kind_that_is_none_is_one_line(run: Run, command: tuple[str, ...]) -> None:
    code, _, error = run(*command)
    assert code == 2
    assert _one_line(error).startswith("flagstream: --kind 'x': one of message, transaction")


@pytest.mark.parametrize("token", ["short-secret", "with a space in it", "sixteen-letters-ä"])
def test_a_web_token_that_is_none_is_one_line_that_does_not_repeat_it(run: Run, token: str) -> None:
    code, out, error = run("settings", FLAGSTREAM_WEB_TOKEN=token)
    assert code == 2
    assert "web_token" in _one_line(error)
    assert token not in out + error


def test_a_web_token_is_never_printed(run: Run) -> None:
    for options in ((), ("--json",)):
        code, out, error = run("settings", *options, FLAGSTREAM_WEB_TOKEN="correct-horse-battery-staple", COLUMNS="250")
        assert code == 0
        assert "web_token" in out
        assert "horse" not in out + error


def test_several_texts_are_scored_to_one_json_line_each_and_nothing_else(run: Run) -> None:
    code, out, error = run("score", "--json", "hello there", "you won a prize", "")
    assert (code, error) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in lines] == ["1", "2", "3"]
    assert all(set(line) == {"id", "labels", "decision", "reasons"} for line in lines)


def test_an_unknown_agent_is_one_line(run: Run) -> None:
    code, _, error = run("worker", "--broker", "127.0.0.1:1", "--agents", "astrology")
    assert code == 2
    assert "moderation, fraud" in _one_line(error)


def test_a_port_in_use_is_one_line(run: Run, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, error = run("broker", "--port", str(taken.getsockname()[1]), "--data", str(tmp_path / "log"))
    assert code in (1, 2)
    assert str(taken_port(error)) in _one_line(error)


def taken_port(error: str) -> str:
    """The port that the line names."""
    import re

    found = re.search(r":(\d+)", error)
    assert found is not None, error
    return found.group(1)


def test_an_interrupt_while_the_program_still_starts_leaves_no_traceback() -> None:
    process = subprocess.Popen([sys.executable, "-m", "stream", "score", "hello"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(0.25)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode in {130, -signal.SIGINT}, error) == (True, "")


def test_a_file_without_one_readable_row_is_a_failure(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("nope\n[]\n")
    code, _, error = run("score", "--input", str(file))
    assert (code, error.count("\n")) == (1, 1)
    file.write_text('nope\n{"id": "1", "text": "hello"}\n')
    assert run("score", "--input", str(file))[0] == 0


def test_a_binary_file_by_the_name_of_a_table_is_one_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "picture.csv"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00")
    code, _, error = run("score", "--input", str(file))
    assert (code, error) == (2, f"flagstream: {file}: no CSV: it is binary\n")
