"""Sinks from their rules."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from stream.act.breaker import Breaker
from stream.act.command import PASSED, Command
from stream.act.endpoint import Endpoint
from stream.act.environment import Environment
from stream.act.file import LinesFile
from stream.act.gate import Gate
from stream.act.kafka import KafkaTopic
from stream.act.rules import AnySink, CommandRules, FileRules, KafkaRules, SlackRules, WebhookRules
from stream.act.sink import Sink
from stream.act.slack import Slack
from stream.act.webhook import Webhook
from stream.settings import Settings


def sink_of(rules: AnySink, environment: Environment, settings: Settings, producer: AIOKafkaProducer) -> Sink:
    """The sink, not opened yet. Raises `UsageError` for a variable that is not set or cannot be used."""
    match rules:
        case WebhookRules():
            named = (rules.secret_env, rules.previous_secret_env)
            return Webhook(
                _endpoint(rules, environment),
                secrets=[environment.secret(name) for name in named if name is not None],
                headers={header: environment.value(name) for header, name in rules.headers_env.items()},
            )
        case SlackRules():
            return Slack(_endpoint(rules, environment))
        case KafkaRules():
            return KafkaTopic(settings, producer, rules.topic, timeout_s=rules.timeout_s)
        case CommandRules():
            return Command(rules.command, environment=environment.passed((*PASSED, *rules.environment)), timeout_s=rules.timeout_s)
        case FileRules():
            return LinesFile(rules.path, fsync=rules.fsync, timeout_s=rules.timeout_s)


def gate_of(rules: AnySink) -> Gate:
    """What stands in front of the sink."""
    return Gate(
        concurrency=rules.concurrency,
        rate_per_s=rules.rate_per_s,
        breaker=Breaker(failures=rules.breaker_failures, pause_s=rules.breaker_pause_s),
    )


def _endpoint(rules: WebhookRules | SlackRules, environment: Environment) -> Endpoint:
    url = environment.url(rules.url_env) if rules.url_env is not None else rules.url or ""
    return Endpoint(url, timeout_s=rules.timeout_s, connections=rules.concurrency)
