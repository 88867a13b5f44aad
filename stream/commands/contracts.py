"""The wire contracts, for other languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Broker, Json, Prefix, settings_for


def asyncapi(broker: Broker = None, prefix: Prefix = None, as_json: Json = False) -> None:
    """Print the AsyncAPI 3 document of all topics."""
    from schemas.asyncapi import document

    resolved = settings_for(broker=broker, prefix=prefix)
    typer.echo(json.dumps(document(prefix=resolved.prefix, broker=resolved.broker), indent=None if as_json else 2))


def schemas(out: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("docs/reference")) -> None:
    """Write the JSON Schemas and the AsyncAPI document."""
    from schemas.export import write

    for name in write(out):
        typer.echo(str(out / name))
