"""Training and evaluation, behind the extra `train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import settings_for
from stream.errors import StreamError, UsageError

train_app = typer.Typer(no_args_is_help=True, help="Train a model anew (extra `train`).")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure a model beside its baselines (extra `train`).")

Data = Annotated[Path, typer.Option("--data", help="Folder (texts) or table (transactions) of data.")]
Config = Annotated[Path | None, typer.Option(help="TOML file with other choices than the defaults.", show_default=False)]
