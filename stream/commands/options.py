"""Options that several commands share, and what each command does first and last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from stream.settings import Settings

Word = TypeVar("Word", bound=str)
Broker = Annotated[str | None, typer.Option(help="Kafka bootstrap servers, host:port[,…].", show_default=False)]
Group = Annotated[str | None, typer.Option(help="Consumer group of the workers.", show_default=False)]
Prefix = Annotated[str | None, typer.Option(help="Put in front of the name of every topic and group.", show_default=False)]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="Policy file (TOML).", show_default=False)]
Models = Annotated[Path | None, typer.Option(help="Folder of model bundles.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def settings_for(**flags: Any) -> Settings:  # noqa: ANN401 (one option value each)
    """The settings in force, with logging set up for them."""
    from stream import logs, settings

    resolved = settings.load(flags)
    logs.configure(resolved)
    return resolved


def one_of(option: str, text: str, allowed: tuple[Word, ...]) -> Word:
    """`text`, as the word of `allowed` that it is. Raises `UsageError` naming the option."""
    for word in allowed:
        if word == text:
            return word
    from stream.errors import UsageError

    raise UsageError(f"{option} {text!r}: one of {', '.join(allowed)}")


def say(document: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, default=str))


