"""The rules file of the actions service: what it may say, and what is refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stream import topics
from stream.act.environment import Environment
from stream.act.rules import CommandRules, FileRules, KafkaRules, SinkRules, SlackRules, WebhookRules, load
from stream.errors import UsageError

Run = Callable[..., tuple[int, str, str]]

HOOK = '[sinks.hook]\ntype = "webhook"\nurl = "https://example.org/flags"\nsecret_env = "HOOK_SECRET"\n'
ALL = '[[rules]]\nto = ["hook"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "actions.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "sinks: Field required"),
        ("nonsense", "cannot be read"),
        (HOOK, "rules: Field required"),
        (HOOK + '[[rules]]\nto = ["other"]\n', "names the sink 'other'; there are: hook"),
        (HOOK + '[sinks.b]\ntype = "file"\npath = "x"\n' + ALL, "no rule sends anything to the sink 'b'"),
        (HOOK + ALL + 'labels = ["sacm"]\n', "unknown label 'sacm'; known: "),
        (HOOK + ALL + 'color = "red"\n', "rules.0.color: Extra inputs"),
        (HOOK + "attempts = 0\n" + ALL, "sinks.hook.attempts: Input should be greater"),
        (HOOK.replace("https", "file") + ALL, "not an http:// or https:// URL"),
        (HOOK.replace("example.org", "user:word@example.org") + ALL, "no user or password"),
        (HOOK.replace("secret_env", "previous_secret_env") + ALL, "give secret_env, or unsigned = true"),
        (HOOK + 'url_env = "U"\n' + ALL, "give url or url_env"),
        (HOOK + 'headers_env = {Webhook-Id = "U"}\n' + ALL, "is set by us"),
        (HOOK.replace("HOOK_SECRET", "FLAGSTREAM_SECRET") + ALL, "are settings; choose another"),
        (HOOK.replace("hook]", "Hook Me]").replace("sinks.", 'sinks."').replace("Me]", 'Me"]') + ALL, "should match pattern"),
        ('[sinks.hook]\ntype = "kafka"\ntopic = "p-flags"\n' + ALL, "would come round again"),
        ('[sinks.hook]\ntype = "pigeon"\n' + ALL, "sinks.hook: Input tag 'pigeon'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_reason(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text), prefix="p-")
    assert why in str(caught.value)
    assert "actions.toml" in str(caught.value)
    assert "word@" not in str(caught.value)


KAFKA = '[sinks.hook]\ntype = "kafka"\ntopic = "{}"\n' + ALL


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        *((f"p-{topic.name}", "one of Flagstream's own") for topic in topics.ALL),
        ("terminal-visits", "one of Flagstream's own"),
        ("p-flagstream-histories-changelog", "restored as state"),
        ("p-flagstream-terminals-changelog", "restored as state"),
        ("another-terminals-changelog", "restored as state"),
        ("p-replay-june-rows", "one of the replay's"),
        ("__consumer_offsets", "one of Kafka's own"),
    ],
)
def test_a_sink_writes_to_no_topic_that_something_else_is_kept_in(topic: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        load(written(tmp_path, KAFKA.format(topic)), prefix="p-")
    assert f"topic {topic} is" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("topic", ["cases", "p-cases", "p-flags-of-fraud", "our-replay-cases", "changelog"])
def test_a_sink_writes_to_any_other_topic(topic: str, tmp_path: Path) -> None:
    load(written(tmp_path, KAFKA.format(topic)), prefix="p-")


def test_secrets_come_from_the_environment_and_are_named_never_shown(tmp_path: Path) -> None:
    rules = load(written(tmp_path, HOOK + ALL))
    assert Environment({}).missing(rules) == ["HOOK_SECRET"]
    for value, why in (("", "is not set"), ("tooshort", "at least 24"), ("x" * 30 + "\n", "printable ASCII")):
        with pytest.raises(UsageError, match=why) as caught:
            Environment({"HOOK_SECRET": value}).secret("HOOK_SECRET")
        assert "HOOK_SECRET" in str(caught.value)
        assert not value or value not in str(caught.value)
    with pytest.raises(UsageError, match="holds no http"):
        Environment({"U": "ftp://secret"}).url("U")


def test_the_table_of_options_is_the_one_in_the_code() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    for name, option in SinkRules.model_fields.items():
        shown = "" if option.default is None else f"`{option.default:g}`" if isinstance(option.default, float) else f"`{option.default}`"
        assert f"| `{name}` | {shown} | {option.description} |" in page, name


@pytest.mark.parametrize("table", [WebhookRules, SlackRules, KafkaRules, CommandRules, FileRules])
def test_every_option_of_a_type_is_on_the_page(table: type[SinkRules]) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    for name in table.model_fields.keys() - {"type"}:
        assert f"`{name}`" in page, name


def test_the_rules_file_on_the_page_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "consumers.md").read_text()
    rules = load(written(tmp_path, page.split("```toml")[1].split("```")[0]))
    assert {sink.type for sink in rules.sinks.values()} == {"webhook", "slack", "kafka", "command", "file"}


# The command line


def test_check_says_what_a_file_holds_and_what_it_needs(run: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, HOOK + ALL))
    status, out, errors = run("act", "--check", file)
    assert (status, out.splitlines()[0]) == (0, "hook: webhook, named by 1 of 1 rules")
    assert "HOOK_SECRET is not set here" in errors
    status, out, errors = run("act", "--check", "--json", file, HOOK_SECRET="x" * 30)
    assert json.loads(out) == {"sinks": {"hook": {"type": "webhook", "rules": 1}}, "rules": 1, "missing_variables": []}
    assert "x" * 30 not in out + errors


def test_wrong_use_is_one_line_and_status_2(run: Run, tmp_path: Path) -> None:
    file = str(written(tmp_path, HOOK + ALL))
    for arguments, why in (
        ((str(tmp_path / "none.toml"),), "No such file"),
        ((file,), "HOOK_SECRET is not set"),
        ((file, "--only", "other"), "no sink 'other' in the rules; there are: hook"),
    ):
        status, out, errors = run("act", *arguments, FLAGSTREAM_BROKER="127.0.0.1:1")
        assert (status, out) == (2, "")
        assert why in errors
        assert len(errors.splitlines()) == 1
