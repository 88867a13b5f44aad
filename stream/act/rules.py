"""The rules file: sinks by name, and which flags go to which. Validated whole before anything is connected."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from schemas.flag import Decision, Flag, Mode
from schemas.labels import Kind, Severity
from schemas.topics import INTERNAL, TOPICS
from stream.errors import UsageError
from stream.settings import PREFIX
from stream.subscribe.filters import Filter

Seconds = Annotated[float, Field(gt=0, le=366 * 86_400)]
SinkName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
OWN = frozenset(topic.name for topic in (*TOPICS, *INTERNAL))


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SinkRules(_Table):
    """How any sink is treated. A field's description is its documentation."""

    start: Literal["latest", "earliest"] = Field(default="latest", description="where a sink begins that has never run")
    concurrency: int = Field(default=8, ge=1, le=1000, description="attempts at the same time")
    held: int = Field(default=500, ge=1, le=10_000, description="flags in memory at most; ten times as many may come again after a crash")
    timeout_s: Seconds = Field(default=10.0, description="one attempt, answer included")
    attempts: int = Field(default=10, ge=1, le=1000, description="then the flag becomes a dead letter")
    first_backoff_s: Seconds = Field(default=0.5, description="the longest pause after the first failure; it doubles, with full jitter")
    max_backoff_s: Seconds = Field(default=60.0, description="up to this")
    max_age_s: Seconds = Field(default=86_400.0, description="a flag published longer ago becomes a dead letter, tried or not")
    breaker_failures: int = Field(default=10, ge=1, description="so many failures in a row, and the sink is left alone")
    breaker_pause_s: Seconds = Field(default=30.0, description="for so long; then one attempt decides")
    rate_per_s: float | None = Field(default=None, gt=0, le=1_000_000, description="attempts a second at most")

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the environment variables that it needs."""
        return ()


class _Http(SinkRules):
    url: str | None = Field(default=None, description="where to POST; redirects are not followed")
    url_env: Variable | None = Field(default=None, description="environment variable that holds the URL, where the URL is a secret")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give url or url_env")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """As of every sink."""
        return () if self.url_env is None else (self.url_env,)


class WebhookRules(_Http):
    """HTTP POST of the flag, signed."""

    type: Literal["webhook"]
    secret_env: Variable | None = Field(default=None, description="environment variable that holds the secret to sign with")
    previous_secret_env: Variable | None = Field(default=None, description="one more to sign with, while the secret is being changed")
    unsigned: bool = Field(default=False, description="send without a signature")
    headers_env: dict[HeaderName, Variable] = Field(default={}, description="further headers, from environment variables")

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if (self.secret_env is None) != self.unsigned:
            raise ValueError("give secret_env, or unsigned = true")
        if self.previous_secret_env is not None and self.secret_env is None:
            raise ValueError("previous_secret_env needs secret_env")
        reserved = sorted(name for name in self.headers_env if name.lower().startswith(("webhook-", "content-", "host", "idempotency-")))
        if reserved:
            raise ValueError(f"headers_env: {reserved[0]} is set by us")
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        """As of every sink."""
        named = (self.url_env, self.secret_env, self.previous_secret_env, *self.headers_env.values())
        return tuple(name for name in named if name is not None)


class SlackRules(_Http):
    """A line for people, to a Slack-compatible webhook."""

    type: Literal["slack"]
    concurrency: int = Field(default=1, ge=1, le=1000)
    rate_per_s: float | None = Field(default=1.0, gt=0, le=1_000_000)


class KafkaRules(SinkRules):
    """The flag as it is, to another topic of the same cluster."""

    type: Literal["kafka"]
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$", description="name on the broker; no prefix is put in front")
    concurrency: int = Field(default=100, ge=1, le=1000)


class CommandRules(SinkRules):
    """A program, with the flag as JSON on standard input. No shell."""

    type: Literal["command"]
    command: tuple[str, ...] = Field(min_length=1, description="program and arguments")
    environment: tuple[Variable, ...] = Field(default=(), description="variables that it may see, besides PATH, HOME and LANG")
    concurrency: int = Field(default=2, ge=1, le=1000)

    @property
    def variables(self) -> tuple[str, ...]:
        """As of every sink."""
        return self.environment


class FileRules(SinkRules):
    """A line a flag, appended to a file."""

    type: Literal["file"]
    path: Path = Field(description="the file; made where it is missing")
    fsync: bool = Field(default=False, description="wait for the disk after each line")


AnySink = Annotated[WebhookRules | SlackRules | KafkaRules | CommandRules | FileRules, Field(discriminator="type")]


class Rule(_Table):
    """Flags that satisfy every condition go to the sinks in `to`."""

    to: tuple[SinkName, ...] = Field(min_length=1)
    labels: frozenset[str] | None = None
    decisions: frozenset[Decision] | None = None
    kinds: frozenset[Kind] | None = None
    min_severity: Severity | None = None
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    entities: frozenset[str] | None = None
    tenants: frozenset[str] | None = None
    modes: frozenset[Mode] = frozenset({"live"})

    @property
    def filter(self) -> Filter:
        """The conditions but the mode. Raises `UsageError` for a word that no flag can carry."""
        return Filter.of(
            labels=self.labels, decisions=self.decisions, kinds=self.kinds, min_severity=self.min_severity, min_score=self.min_score,
            entities=self.entities, tenants=self.tenants,
        )


class Rules(_Table):
    """The file as a whole."""

    sinks: dict[SinkName, AnySink] = Field(min_length=1)
    rules: tuple[Rule, ...] = Field(min_length=1)

    def route(self, sink: str) -> Route:
        """Which flags `sink` gets: each once, however many rules name it."""
        return Route(tuple((rule.filter, rule.modes) for rule in self.rules if sink in rule.to))


class Route:
    """The flags that one of some filters accepts, in one of its modes."""

    def __init__(self, ways: tuple[tuple[Filter, frozenset[Mode]], ...]) -> None:
        self._ways = ways

    def accepts(self, flag: Flag) -> bool:
        """Whether the sink is to have `flag`."""
        return any(flag.mode in modes and wanted.accepts(flag) for wanted, modes in self._ways)


def load(file: Path, *, prefix: str = "") -> Rules:
    """The rules in `file` (TOML). Raises `UsageError` with the first fault."""
    try:
        rules = Rules.model_validate(tomllib.loads(file.read_text()))
        named = {name for rule in rules.rules for name in rule.to}
        for rule in rules.rules:
            _ = rule.filter
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except ValidationError as error:
        raise UsageError(f"{file}: {_first_fault(error)}") from error
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    if unknown := sorted(named - set(rules.sinks)):
        raise UsageError(f"{file}: a rule names the sink {unknown[0]!r}; there are: {', '.join(rules.sinks)}")
    if idle := sorted(set(rules.sinks) - named):
        raise UsageError(f"{file}: no rule sends anything to the sink {idle[0]!r}")
    for name, sink in rules.sinks.items():
        if ours := [variable for variable in sink.variables if variable.startswith(PREFIX)]:
            raise UsageError(f"{file}: sinks.{name}: {ours[0]}: names that start with {PREFIX} are settings; choose another")
        if isinstance(sink, KafkaRules) and (why := why_no_target(sink.topic, prefix=prefix)) is not None:
            raise UsageError(f"{file}: sinks.{name}: topic {sink.topic} {why}; choose another")
    return rules


def why_no_target(topic: str, *, prefix: str) -> str | None:
    """Why a sink may not write to `topic` (by its name on the broker); None where it may. By names alone: whether a topic is there is
    another question."""
    bare = topic.removeprefix(prefix)
    if bare in OWN:
        return "is one of Flagstream's own: a flag there would come round again, or be taken for something else"
    if topic.endswith("-changelog"):
        return "is named as a changelog: a flag there would be restored as state"
    if bare.startswith("replay-"):
        return "is named as a replay's own: a flag there would count as one of the replay's"
    if topic.startswith("__"):
        return "is one of Kafka's own"
    return None


def _first_fault(error: ValidationError) -> str:
    """Where and what, without the value, which may be a secret in the wrong place."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = [str(part) for part in fault["loc"]]
    if place[:1] == ["sinks"]:
        # After the sink's name stands its type, which is no part of the file.
        del place[2:3]
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{'.'.join(place)}: {fault['msg'].removeprefix('Value error, ')}{more}"


def checked_url(value: str) -> str:
    """`value`, an http or https URL with a host and without a password. Raises `ValueError`, which does not quote it."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1:
        raise ValueError("not an http:// or https:// URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL holds no user or password; use headers_env")
    return value
