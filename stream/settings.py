"""Settings: from the command line, then the environment (`FLAGSTREAM_…`), then `flagstream.toml` in the current folder."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from stream.errors import UsageError

PREFIX = "FLAGSTREAM_"
FILE = Path("flagstream.toml")
NOT_SETTINGS = frozenset({"FLAGSTREAM_DATA", "FLAGSTREAM_DEBUG", "FLAGSTREAM_KAFKA_JARS"})
"""Variables with our prefix that are no settings: where tests and training find data sets, and `--debug`."""

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseModel):
    """Every setting with its default. A field's description is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker: str | None = Field(
        default=None,
        description="Kafka bootstrap servers, host:port[,host:port…]; unset: `demo` and `bench` start an embedded broker, all else is an error",
    )
    group: str = Field(
        default="flagstream", min_length=1, max_length=200, description="consumer group of the workers, and the name of their state"
    )
    prefix: str = Field(
        default="", max_length=100, pattern=r"^[A-Za-z0-9._-]*$",
        description="put in front of the name of every topic and group, for shared clusters",
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how the clients talk to the broker"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(default="PLAIN", description="how they log in, under SASL")
    sasl_username: str | None = Field(default=None, description="as whom")
    sasl_password: SecretStr | None = Field(default=None, description="with which password; never printed")
    ssl_cafile: Path | None = Field(default=None, description="certificates of the authorities to trust (PEM); unset: the system's")
    ssl_certfile: Path | None = Field(default=None, description="certificate of this client (PEM), where the broker asks for one")
    ssl_keyfile: Path | None = Field(default=None, description="its key (PEM)")
    policy: Path | None = Field(default=None, description="policy file (TOML); unset: the one that comes with the program")
    models: Path | None = Field(
        default=None, description="folder of model bundles, or one bundle to use in place of the one of its name; unset: those that come with the program"
    )
    explain: Annotated[int, Field(ge=0, le=64)] = Field(
        default=16, description="how many parts of a flagged text are read by themselves to find the spans of its reasons; 0: no spans"
    )
    cascade: Literal["off", "on"] = Field(
        default="off", description="whether the first model of a text bundle clears what is surely harmless, so that the model need not read it"
    )
    state_dir: Path = Field(
        default=Path(".flagstream/state"), description="folder of the local copies of the agents' state; workers of one machine may share it"
    )
    state_store: Literal["rocksdb", "memory"] = Field(
        default="rocksdb", description="where the local copy lives: on disk (`rocksdb`), or in memory (`memory`)"
    )
    terminal_wait_s: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=30.0,
        description="how long a transaction waits until everything before its hour is known of its terminal; then it is judged without",
    )
    web_host: str = Field(
        default="127.0.0.1",
        description="address of the HTTP server of a worker or of `act` (health, ready, metrics; verdicts at a worker)",
    )
    web_port: Port = Field(default=6066, description="its port (`act`: 6067 unless set); 0 takes a free one")
    web_token: SecretStr | None = Field(
        default=None,
        description="who posts verdicts must know it (16 characters or more); needed for that where the HTTP server is not on loopback; never printed",
    )
    verdict_window: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=50_000, description="flags that a worker remembers, to join verdicts with them; 0: no live precision"
    )
    log: Literal["console", "json"] = Field(default="console", description="how log lines look")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least severe that is logged")

    @field_validator("web_token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if len(value) < 16 or not value.get_secret_value().isascii() or any(letter.isspace() for letter in value.get_secret_value()):
            raise ValueError("at least 16 characters of ASCII, without spaces (`openssl rand -hex 24` makes one)")
        return value

    @field_validator("broker")
    @classmethod
    def _addresses(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                raise ValueError(f"{address.strip()!r} is not host:port")
        return ",".join(address.strip() for address in value.split(","))

    def need_broker(self) -> str:
        """The broker's address. Raises `UsageError` when none is set."""
        if self.broker is None:
            raise UsageError("no broker: give --broker host:port or set FLAGSTREAM_BROKER (`flagstream broker` starts one)")
        return self.broker


def load(flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, file: Path = FILE) -> Settings:
    """The settings in force. Flags that are None count as not given. Raises `UsageError` naming the setting and its source."""
    return resolve(flags, environ=environ, file=file)[0]


def resolve(
    flags: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None, file: Path = FILE
) -> tuple[Settings, dict[str, str]]:
    """The settings in force, and for each where its value came from."""
    layers = [
        (str(file), _from_file(file)),
        ("environment", _from_environment(os.environ if environ is None else environ)),
        ("command line", {name: value for name, value in (flags or {}).items() if value is not None}),
    ]
    values: dict[str, Any] = {}
    sources = dict.fromkeys(Settings.model_fields, "default")
    for source, layer in layers:
        values.update(layer)
        sources.update(dict.fromkeys(layer, source))
    try:
        return Settings.model_validate(values), {name: sources[name] for name in Settings.model_fields}
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise UsageError(f"unknown setting {name!r} ({sources[name]}); known: {known}") from error
        raise UsageError(f"setting {name} ({sources.get(name, '?')}): {first['msg'].removeprefix('Value error, ')}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and name not in NOT_SETTINGS
    }


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
