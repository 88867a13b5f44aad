"""The command line. Each command is thin: it resolves settings, calls the function that does the work, and prints.

Errors are one line on standard error, with exit code 2 for wrong use and 1 for failure; `--debug` shows the traceback."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from stream.commands import contracts, history, records, service
from stream.commands.act import act
from stream.commands.bench import bench_app
from stream.commands.dead_letters import dead_letters_app
from stream.commands.models import models_app
from stream.commands.policy import policy_app
from stream.commands.training import evaluate_app, train_app
from stream.commands.tuning import quantize, tune
from stream.commands.verdicts import verdict, verdicts_app
from stream.errors import StreamError

app = typer.Typer(
    name="flagstream", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False,
    help="Judges messages and transactions as they stream through Kafka, and publishes flags in time to act.",
)
COMMANDS = (
    service.demo, service.broker, service.worker, act, records.send, records.tail, records.score, history.replay, verdict, contracts.asyncapi,
    contracts.schemas, service.settings, tune, quantize,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(service.topics_app, name="topics")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(models_app, name="models")
policy_app.command()(history.fit)
policy_app.command()(history.diff)
app.add_typer(policy_app, name="policy")
app.add_typer(verdicts_app, name="verdicts")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(bench_app, name="bench")


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    """Flagstream."""
    if debug:
        os.environ["FLAGSTREAM_DEBUG"] = "1"


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
