"""Models: what there is, whether it is intact, how good it is."""

from __future__ import annotations

from typing import Annotated

import typer

from stream.commands.options import Json, Models, say, settings_for

models_app = typer.Typer(no_args_is_help=True, help="The model bundles: what they are, whether they are intact, how good they are.")


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
        if row["first"] is not None:
            why = row["first"]["refuses"]
            typer.echo(f"{'':<12} has a first model; " + (f"it clears nothing: {why}" if why else "FLAGSTREAM_CASCADE=on lets it clear texts"))


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


