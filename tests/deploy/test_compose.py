"""docker-compose.yml and what it mounts, as far as it can be checked without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deploy.kafka.jars import version
from deploy.kafka.properties import COMMON, replication
from stream import cli
from stream.act.environment import Environment
from stream.act.rules import FileRules, load
from stream.commands.act import WEB_PORT
from stream.metrics import REGISTRY
from stream.settings import PREFIX, Settings, resolve

ROOT = Path(__file__).parent.parent.parent
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "expose", "healthcheck", "hostname", "image", "ports", "profiles",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip
"""Those of the Compose specification that the file uses: a misspelt key is none of them."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_only_keys_of_the_specification_are_used(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    assert set(compose) == {"name", "services", "volumes"}
    for service in services.values():
        assert set(service) <= SERVICE_KEYS


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", service["image"])
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert bases
    assert all(re.fullmatch(r"python:\d+\.\d+\.\d+-slim-\w+", base) for base in bases)


def test_every_port_is_on_loopback_and_taken_once(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports) == 3


@pytest.mark.parametrize("name", ["worker", "act"])
def test_the_environment_is_made_of_settings_that_exist(name: str, services: dict[str, dict[str, Any]]) -> None:
    environment = services[name]["environment"]
    settings, sources = resolve(environ=environment, file=ROOT / "no-such-file.toml")
    assert {name for name, source in sources.items() if source == "environment"} == {
        name.removeprefix(PREFIX).lower() for name in environment
    }
    assert settings.need_broker() == "kafka:9092"


def test_the_image_sets_only_settings_that_exist_and_the_port_that_others_expect(services: dict[str, dict[str, Any]]) -> None:
    text = (ROOT / "Dockerfile").read_text()
    set_there = dict(re.findall(rf"({PREFIX}\w+)=(\S+)", text))
    assert {name.removeprefix(PREFIX).lower() for name in set_there} <= set(Settings.model_fields)
    assert set_there[f"{PREFIX}WEB_PORT"] == services["worker"]["expose"][0] == re.findall(r"^EXPOSE (\d+)", text, flags=re.MULTILINE)[0]


def test_the_image_runs_as_somebody_else_than_root_and_is_asked_whether_it_is_ready() -> None:
    text = (ROOT / "Dockerfile").read_text()
    last_stage = text.rsplit("\nFROM ", 1)[1]
    assert "\nUSER flagstream\n" in last_stage
    assert "/ready" in re.findall(r"HEALTHCHECK[^\n]*\\\n.*", last_stage)[0]
    assert "--constraint requirements.lock" in text


def test_every_file_that_the_image_copies_is_let_in() -> None:
    let_in = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    copied = {name for line in lines for name in line.split()}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def test_kafka_is_the_one_of_the_tests_with_the_same_properties(services: dict[str, dict[str, Any]]) -> None:
    assert services["kafka"]["image"] == f"apache/kafka:{version()}"
    environment = services["kafka"]["environment"]
    for name, value in {**COMMON, **replication(1)}.items():
        assert environment[f"KAFKA_{name.upper().replace('.', '_')}"] == value


def test_kafka_tells_each_side_the_address_that_it_can_reach(services: dict[str, dict[str, Any]]) -> None:
    kafka = services["kafka"]
    told = dict(pair.split("://") for pair in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))
    listened = dict(pair.split("://:") for pair in kafka["environment"]["KAFKA_LISTENERS"].split(","))
    assert told["PLAINTEXT"] == services["worker"]["environment"]["FLAGSTREAM_BROKER"] == f"{kafka['hostname']}:{listened['PLAINTEXT']}"
    host, outside, inside = kafka["ports"][0].split(":")
    assert told["HOST"] == f"{host}:{outside}"
    assert listened["HOST"] == inside


def test_every_volume_is_declared_and_every_mounted_file_is_there(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    sources = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {source for source in sources if not source.startswith("./")} == set(compose["volumes"])
    assert all((ROOT / source).exists() for source in sources if source.startswith("./"))


def test_every_dependency_is_a_service_and_healthy_means_that_there_is_a_check(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        needed = service.get("depends_on", {})
        assert set(needed) <= set(services)
        for name in needed if isinstance(needed, dict) else ():
            assert needed[name]["condition"] == "service_healthy"
            assert "healthcheck" in services[name]


def _metric_names() -> set[str]:
    return {sample.name for metric in REGISTRY.collect() for sample in metric.samples} | {
        f"{metric.name}{suffix}"
        for metric in REGISTRY.collect()
        for suffix in {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}[metric.type]
    }


def _alerts() -> list[dict[str, Any]]:
    alerts = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())
    return [rule for group in alerts["groups"] for rule in group["rules"]]


def _expressions() -> list[str]:
    board = json.loads((ROOT / "deploy/grafana/dashboards/flagstream.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]] + [rule["expr"] for rule in _alerts()]


def test_the_dashboard_and_the_alerts_ask_for_metrics_that_exist() -> None:
    asked = {name for expression in _expressions() for name in re.findall(r"flagstream_\w+", expression)}
    assert asked
    assert asked <= _metric_names()


def test_every_metric_is_on_the_dashboard() -> None:
    asked = " ".join(_expressions())
    assert all(f"{metric.name}" in asked for metric in REGISTRY.collect())


def test_the_dashboard_asks_the_data_source_that_is_provisioned(services: dict[str, dict[str, Any]]) -> None:
    board = json.loads((ROOT / "deploy/grafana/dashboards/flagstream.json").read_text())
    (source,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    assert re.fullmatch(r"http://(\w+):9090", source["url"])[1] in services  # type: ignore[index]  # fails as it should
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_actions_service_runs_when_asked_for_by_rules_that_need_nothing_more(services: dict[str, dict[str, Any]]) -> None:
    act = services["act"]
    assert act["profiles"] == ["act"]
    assert act["environment"]["FLAGSTREAM_WEB_PORT"] == act["expose"][0] == str(WEB_PORT)
    mounted = {target: source for source, target, *_ in (volume.split(":") for volume in act["volumes"])}
    command, file = act["command"]
    assert command == "act"
    rules = load(ROOT / mounted[file])
    assert Environment(act["environment"]).missing(rules) == []
    writable = [target for target, source in mounted.items() if not source.startswith("./")]
    assert [str(sink.path.parent) for sink in rules.sinks.values() if isinstance(sink, FileRules)] == writable, "all else is read-only"


def test_prometheus_asks_each_service_with_metrics_where_it_answers(services: dict[str, dict[str, Any]]) -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    asked = {job["job_name"]: (found["names"], str(found["port"])) for job in jobs for found in job["dns_sd_configs"]}
    ours = {name: services[name]["expose"][0] for name in services if "build" in services[name]}
    assert asked == {"flagstream": (["worker"], ours["worker"]), "flagstream-act": (["act"], ours["act"])}
    assert set(ours) == {"worker", "act"}
    told = {job for expression in _expressions() for job in re.findall(r'job="([^"]+)"', expression)}
    assert told == {"flagstream"}, "that there is no worker is said of workers"


def test_alerts_name_only_commands_that_exist() -> None:
    said = (ROOT / "deploy/alerts.yml").read_text()
    named = re.findall(r"`flagstream ([a-z -]+)`", said)
    commands = typer.main.get_command(cli.app)
    assert named
    for words in named:
        group: Any = commands
        for word in words.split():
            group = group.commands[word]
    (many,) = [rule for rule in _alerts() if rule["alert"] == "ManyDeadLetters"]
    assert "`flagstream dead-letters list`" in many["annotations"]["summary"]
