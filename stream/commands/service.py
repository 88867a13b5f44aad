"""Running things: the broker, the worker, the demo; topics and settings."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from stream.commands.options import Broker, Group, Json, Models, PolicyFile, Prefix, say, settings_for

topics_app = typer.Typer(no_args_is_help=True, help="Create the topics, or look at them.")


def settings(as_json: Json = False) -> None:
    """Print every setting in force, and where its value comes from."""
    from rich.console import Console
    from rich.table import Table

    from stream.settings import Settings, resolve

    values, sources = resolve()
    if as_json:
        say({name: {"value": getattr(values, name), "source": sources[name]} for name in Settings.model_fields})
        return
    table = Table("setting", "value", "source", "meaning")
    for name, field in Settings.model_fields.items():
        table.add_row(name, str(getattr(values, name)), sources[name], field.description or "")
    Console().print(table)


def broker(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 9092,
    data: Annotated[Path, typer.Option(help="Folder of its log.")] = Path(".flagstream/broker"),
    fsync: Annotated[
        Literal["always", "interval", "never"], typer.Option(help="When writes reach the disk: before the answer, each second, or by the system.")
    ] = "interval",
) -> None:
    """Run the embedded broker: the Kafka protocol on loopback, for laptops, demos and tests."""
    from stream.broker import run

    settings_for()
    run(data, port, fsync=fsync, on_ready=lambda address: typer.echo(f"ready {address}"))


@topics_app.command("create")
def topics_create(broker: Broker = None, prefix: Prefix = None, as_json: Json = False) -> None:
    """Create the topics that are missing."""
    from stream import topics
    from stream.names import Names

    resolved = settings_for(broker=broker, prefix=prefix)
    wanted = [Names(resolved.prefix).wire(topic.name) for topic in topics.ALL]
    made = topics.create(resolved)
    if as_json:
        say({"created": made, "there": [name for name in wanted if name not in made]})
        return
    for name in wanted:
        typer.echo(f"{'created' if name in made else 'there'}  {name}")


@topics_app.command("list")
def topics_list(broker: Broker = None, prefix: Prefix = None, group: Group = None, as_json: Json = False) -> None:
    """Show partitions, records and the workers' lag."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from stream import topics

    resolved = settings_for(broker=broker, prefix=prefix, group=group)
    states = topics.states(resolved)
    if as_json:
        say([asdict(state) for state in states])
        return
    table = Table("topic", "partitions", "end offsets", "records", f"lag of {resolved.group}")
    for state in states:
        records = sum(state.end_offsets) - sum(state.first_offsets)
        lag = "-" if state.lag is None else f"{state.lag:,}"
        table.add_row(state.name, str(state.partitions), " ".join(map(str, state.end_offsets)), f"{records:,}", lag)
    Console().print(table)


def worker(
    broker: Broker = None, group: Group = None, prefix: Prefix = None, policy: PolicyFile = None, models: Models = None,
    agents: Annotated[str, typer.Option(help="Agents to run, separated by commas.")] = "moderation,fraud",
    state_dir: Annotated[Path | None, typer.Option(help="Folder of the local state.", show_default=False)] = None,
    web_port: Annotated[int | None, typer.Option(help="Port for health, readiness and metrics.", show_default=False)] = None,
    replay: Annotated[str | None, typer.Option(help="Take a share of this replay instead, and end with it.", show_default=False)] = None,
) -> None:
    """Run the stream worker: judges what comes in until it is told to stop."""
    # Told so while it still loads, or waits for the broker, it has nothing to finish: that is a clean stop, too.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from stream.again import begin_anew
    from stream.errors import ClientGaveUpError
    from stream.worker import run

    resolved = settings_for(
        broker=broker, group=group, prefix=prefix, policy=policy, models=models, state_dir=state_dir, web_port=web_port
    )
    names = [name.strip() for name in agents.split(",") if name.strip()]

    def ready(address: str) -> None:
        typer.echo(f"ready {address}")

    try:
        if replay is not None:
            from stream.replay.member import join

            asyncio.run(join(resolved, replay, on_ready=ready))
        else:
            asyncio.run(run(resolved, names, on_ready=ready))
    except ClientGaveUpError as error:
        begin_anew(resolved, str(error))


def demo(
    seconds: Annotated[float | None, typer.Option(help="End after so long; else with Ctrl-C.", min=1, show_default=False)] = None,
    rate: Annotated[float, typer.Option(help="Events a second.", min=1)] = 200.0,
    seed: Annotated[int, typer.Option(help="Seed of the generated traffic.")] = 1,
    as_json: Json = False,
) -> None:
    """Broker, worker and generated traffic on this machine, and the flags as they come."""
    from stream.demo import run

    settings_for()
    summary = run(seconds=seconds, rate=rate, seed=seed, live=not as_json)
    if as_json:
        say(summary)


