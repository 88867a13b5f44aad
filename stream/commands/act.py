"""The actions service."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Broker, Group, Json, Prefix, say, settings_for

WEB_PORT = 6067
"""Unless it is set: beside a worker on the same machine, whose default is one less."""


def act(
    rules: Annotated[Path, typer.Argument(metavar="FILE", help="Rules file (TOML): sinks, and which flags go to which.")],
    check: Annotated[bool, typer.Option("--check", help="Only say whether the file is right, and what it needs.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Only this sink; may be repeated.", show_default=False)] = None,
    broker: Broker = None,
    group: Group = None,
    prefix: Prefix = None,
    web_port: Annotated[int | None, typer.Option(help="Port for health, readiness and metrics; 6067 unless it is set.", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Act on flags: hand them to webhooks, Slack, Kafka topics, commands and files, by rules."""
    from stream import settings
    from stream.act.environment import Environment
    from stream.act.rules import load
    from stream.act.service import run

    if web_port is None and settings.resolve()[1]["web_port"] == "default":
        web_port = WEB_PORT
    resolved = settings_for(broker=broker, group=group, prefix=prefix, web_port=web_port)
    found = load(rules, prefix=resolved.prefix)
    if not check:
        asyncio.run(run(resolved, found, only=only or (), on_ready=lambda address: typer.echo(f"ready {address}")))
        return
    missing = Environment(os.environ).missing(found)
    if as_json:
        sinks = {name: {"type": sink.type, "rules": sum(name in rule.to for rule in found.rules)} for name, sink in found.sinks.items()}
        say({"sinks": sinks, "rules": len(found.rules), "missing_variables": missing})
        return
    for name, sink in found.sinks.items():
        typer.echo(f"{name}: {sink.type}, named by {sum(name in rule.to for rule in found.rules)} of {len(found.rules)} rules")
    for variable in missing:
        typer.echo(f"flagstream: environment variable {variable} is not set here; `flagstream act` needs it", err=True)
    typer.echo(f"{rules}: right")
