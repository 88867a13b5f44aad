"""The command line. Each command is thin: it resolves settings, calls the function that does the work, and prints.

Errors are one line on standard error, with exit code 2 for wrong use and 1 for failure; `--debug` shows the traceback."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.errors import StreamError

app = typer.Typer(
    name="flagstream", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
    help="Judges messages and transactions as they stream through Kafka, and publishes flags in time to act.",
)
topics_app = typer.Typer(no_args_is_help=True, help="Create the topics, or look at them.")
app.add_typer(topics_app, name="topics")
models_app = typer.Typer(no_args_is_help=True, help="The model bundles: what they are, whether they are intact, how good they are.")
app.add_typer(models_app, name="models")
policy_app = typer.Typer(no_args_is_help=True, help="Policy files: check one, show the one in force.")
app.add_typer(policy_app, name="policy")

Broker = Annotated[str | None, typer.Option(help="Kafka bootstrap servers, host:port[,…].", show_default=False)]
Group = Annotated[str | None, typer.Option(help="Consumer group of the workers.", show_default=False)]
Prefix = Annotated[str | None, typer.Option(help="Put in front of every topic name.", show_default=False)]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="Policy file (TOML).", show_default=False)]
Models = Annotated[Path | None, typer.Option(help="Folder of model bundles.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    """Flagstream."""
    if debug:
        os.environ["FLAGSTREAM_DEBUG"] = "1"


def settings_for(**flags: Any) -> Any:  # noqa: ANN401 (one option value each)
    """The settings in force, with logging set up for them."""
    from stream import logs, settings

    resolved = settings.load(flags)
    logs.configure(resolved)
    return resolved


def say(document: object) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(document, default=str))


@app.command()
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


@app.command()
def broker(
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 9092,
    data: Annotated[Path, typer.Option(help="Folder of its log.")] = Path(".flagstream/broker"),
) -> None:
    """Run the embedded broker: the Kafka protocol on loopback, for laptops, demos and tests."""
    from stream.broker import run

    settings_for()
    run(data, port, on_ready=lambda address: typer.echo(f"ready {address}"))


@topics_app.command("create")
def topics_create(broker: Broker = None, prefix: Prefix = None, as_json: Json = False) -> None:
    """Create the topics that are missing."""
    from schemas.topics import TOPICS
    from stream import topics
    from stream.names import Names

    resolved = settings_for(broker=broker, prefix=prefix)
    names = Names(resolved.prefix)
    made = topics.create(resolved.need_broker(), names)
    if as_json:
        say({"created": made, "there": [name for topic in TOPICS if (name := names.wire(topic.name)) not in made]})
        return
    for topic in TOPICS:
        name = names.wire(topic.name)
        typer.echo(f"{'created' if name in made else 'there'}  {name}")


@topics_app.command("list")
def topics_list(broker: Broker = None, prefix: Prefix = None, group: Group = None, as_json: Json = False) -> None:
    """Show partitions, records and the workers' lag."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    from stream import topics
    from stream.names import Names

    resolved = settings_for(broker=broker, prefix=prefix, group=group)
    states = topics.states(resolved.need_broker(), Names(resolved.prefix), resolved.group)
    if as_json:
        say([asdict(state) for state in states])
        return
    table = Table("topic", "partitions", "end offsets", "records", f"lag of {resolved.group}")
    for state in states:
        records = sum(state.end_offsets) - sum(state.first_offsets)
        lag = "-" if state.lag is None else f"{state.lag:,}"
        table.add_row(state.name, str(state.partitions), " ".join(map(str, state.end_offsets)), f"{records:,}", lag)
    Console().print(table)


@app.command()
def worker(
    broker: Broker = None, group: Group = None, prefix: Prefix = None, policy: PolicyFile = None, models: Models = None,
    agents: Annotated[str, typer.Option(help="Agents to run, separated by commas.")] = "moderation,fraud",
    state_dir: Annotated[Path | None, typer.Option(help="Folder of the local state.", show_default=False)] = None,
    web_port: Annotated[int | None, typer.Option(help="Port for health, readiness and metrics.", show_default=False)] = None,
) -> None:
    """Run the stream worker: judges what comes in until it is told to stop."""
    from stream.worker import run

    resolved = settings_for(
        broker=broker, group=group, prefix=prefix, policy=policy, models=models, state_dir=state_dir, web_port=web_port
    )
    names = [name.strip() for name in agents.split(",") if name.strip()]
    asyncio.run(run(resolved, names, on_ready=lambda address: typer.echo(f"ready {address}")))


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="End after so long; else with Ctrl-C.", min=1, show_default=False)] = None,
    rate: Annotated[float, typer.Option(help="Events a second.", min=1)] = 200.0,
    seed: Annotated[int, typer.Option(help="Seed of the generated traffic.")] = 1,
    as_json: Json = False,
) -> None:
    """Broker, worker and generated traffic on this machine, and the flags as they come."""
    from stream.demo import run

    summary = run(settings_for(), seconds=seconds, rate=rate, seed=seed, live=not as_json)
    if as_json:
        say(summary)


@models_app.command("list")
def models_list(models: Models = None, as_json: Json = False) -> None:
    """List the bundles."""
    from stream.bundles import listing

    rows = listing(settings_for(models=models))
    if as_json:
        say(rows)
        return
    for row in rows:
        typer.echo(f"{row['name']:<12} {row['digest']}  {row['bytes'] / 1e6:6.2f} MB  {', '.join(row['labels'])}")


@models_app.command("verify")
def models_verify(models: Models = None) -> None:
    """Check every bundle against its card, and that it loads."""
    from stream.bundles import listing

    for row in listing(settings_for(models=models), load=True):
        typer.echo(f"{row['name']}: intact, {row['digest']}")


@models_app.command("card")
def models_card(name: Annotated[str, typer.Argument(help="The bundle.")], models: Models = None) -> None:
    """Print a bundle's card."""
    from stream.bundles import card

    typer.echo(card(settings_for(models=models), name))


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="The policy file.")]) -> None:
    """Say whether a policy file can be used."""
    from stream.load import load_policy

    policy = load_policy(settings_for(policy=file))
    typer.echo(f"{file}: ok, policy {policy.name!r}, {len(policy.labels)} labels, digest {policy.digest}")


@policy_app.command("show")
def policy_show(policy: PolicyFile = None, as_json: Json = False) -> None:
    """Show the policy in force."""
    from stream.load import load_policy

    found = load_policy(settings_for(policy=policy))
    if as_json:
        typer.echo(found.model_dump_json())
        return
    typer.echo(f"policy {found.name!r}, digest {found.digest}")
    for label, rule in found.labels.items():
        block = "never" if rule.block is None else f"{rule.block:.2f}"
        typer.echo(f"  {label:<12} review from {rule.review:.2f}  block from {block:<6} {rule.severity}")


def main() -> None:
    """Run the command line, turning every error into one line."""
    try:
        app()
    except StreamError as error:
        _fail(error, error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 (the last line of defence: never a traceback for people)
        _fail(error, StreamError.exit_code, f"unexpected {type(error).__name__}: ", " (--debug shows more)")


def _fail(error: Exception, code: int, before: str = "", after: str = "") -> None:
    if os.environ.get("FLAGSTREAM_DEBUG"):
        raise error
    line = " ".join(str(error).split())
    typer.echo(f"flagstream: {before}{line}{after}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
