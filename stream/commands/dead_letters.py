"""Dead letters: what there is, what is in them, and sending them again."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream.commands.options import Broker, Json, Prefix, one_of, say, settings_for
from stream.errors import UsageError

if TYPE_CHECKING:
    from schemas.dead_letter import DeadLetter
    from stream.dead_letters.read import Survey

dead_letters_app = typer.Typer(no_args_is_help=True, help="What could not be read, judged or delivered: look at it, send it again.")

Since = Annotated[str | None, typer.Option(help="Only those since this time, or since so long ago (10m, 2h, 1d).", show_default=False)]
Reason = Annotated[list[str] | None, typer.Option(help="Only those with this word in their error.", show_default=False)]
Sink = Annotated[list[str] | None, typer.Option(help="Only flags that this sink of `act` did not take.", show_default=False)]
Topic = Annotated[list[str] | None, typer.Option(help="Only records of this topic.", show_default=False)]


@dead_letters_app.command("list")
def list_letters(
    since: Since = None,
    reason: Reason = None,
    topic: Topic = None,
    sink: Sink = None,
    state: Annotated[str | None, typer.Option(help="open, retried or unclear.", show_default=False)] = None,
    limit: Annotated[int, typer.Option("--max", help="Show the newest so many.", min=1)] = 50,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Show the letters, newest last, and how many there are for which reason; never what is in them."""
    from rich.console import Console

    from stream.dead_letters.letter import STATES
    from stream.dead_letters.show import table

    only = None if state is None else one_of("--state", state, STATES)
    found = _survey(since, reason, topic, sink, (), broker, prefix)
    letters = [letter for letter in found.letters if only in (None, letter.state)]
    shown = letters[-limit:]
    reasons = Counter(letter.error_class for letter in letters)
    if as_json:
        say({
            "letters": [letter.to_json() for letter in shown], "total": len(letters), "shown": len(shown),
            "by_reason": dict(reasons.most_common()), "by_state": dict(Counter(letter.state for letter in letters)),
            "unreadable": found.unreadable,
        })  # fmt: skip
        return
    if shown:
        Console().print(table(shown))
    more = f", the newest {len(shown)} shown" if len(shown) < len(letters) else ""
    counted = ", ".join(f"{name} {count}" for name, count in reasons.most_common())
    typer.echo(f"{len(letters)} dead letters{more}{f': {counted}' if counted else ''}", err=True)
    if found.unreadable:
        typer.echo(f"{found.unreadable} records of the topic are no dead letters", err=True)


@dead_letters_app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="The letter's id, or at least the first 6 characters of it.")],
    reveal: Annotated[bool, typer.Option("--reveal", help="Also the record's key, headers and value.")] = False,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Show everything about one letter; what is in it only with --reveal."""
    from rich.console import Console

    from stream.dead_letters.read import bodies
    from stream.dead_letters.show import card

    (found,) = _survey(None, None, None, None, (letter,), broker, prefix).letters
    body = None
    if reveal:
        ((_, body),) = next(bodies(settings_for(broker=broker, prefix=prefix), [found]))
    if as_json:
        say({**found.to_json(), **(_revealed(body) if body is not None else {})})
    else:
        Console().print(card(found, body))


@dead_letters_app.command("retry")
def retry(
    letters: Annotated[list[str] | None, typer.Argument(help="Ids, or at least their first 6 characters.", show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the options leave.")] = False,
    since: Since = None,
    reason: Reason = None,
    topic: Topic = None,
    sink: Sink = None,
    max_retries: Annotated[int, typer.Option(help="Refuse a record that was sent again so often.", min=1)] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Send the records of letters to their topics again, each letter once."""
    from stream.dead_letters.retry import Done
    from stream.dead_letters.retry import retry as run

    if not (letters or everything or since or reason or topic or sink):
        raise UsageError("retry which? Give ids, --since, --reason, --topic or --sink, or --all")
    found = _survey(since, reason, topic, sink, letters or (), broker, prefix)

    def line(done: Done) -> None:
        if not as_json:
            typer.echo(f"{done.what:<16} {done.letter.id[:12]}  {done.letter.place}  {done.why}")

    done = run(
        settings_for(broker=broker, prefix=prefix), found.letters, at=datetime.now(UTC), max_retries=max_retries, dry_run=dry_run, on_done=line
    )
    counts = Counter(one.what for one in done)
    if as_json:
        say({
            "retried": counts["retried"], "would_be_retried": counts["would be retried"], "already_retried": counts["already retried"],
            "refused": counts["refused"], "dry_run": dry_run,
            "letters": [{"id": one.letter.id, "outcome": one.what.replace(" ", "_"), "why": one.why} for one in done],
        })  # fmt: skip
    else:
        typer.echo(", ".join(f"{count} {what}" for what, count in counts.items()) or "no such letters", err=True)
    if counts["refused"]:
        raise typer.Exit(1)


def _survey(
    since: str | None, reasons: list[str] | None, topics: list[str] | None, sinks: list[str] | None, ids: tuple[str, ...] | list[str],
    broker: str | None, prefix: str | None,
) -> Survey:  # fmt: skip
    from stream.dead_letters.letter import Wanted
    from stream.dead_letters.read import survey
    from stream.replay.window import bound

    wanted = Wanted(reasons=reasons or (), topics=topics or (), sinks=sinks or (), ids=ids)
    return survey(settings_for(broker=broker, prefix=prefix), wanted, since=bound(since, name="--since", now=datetime.now(UTC)))


def _revealed(body: DeadLetter) -> dict[str, Any]:
    """The record's bytes, in base64, and as text where they are text."""
    return {
        "key": _bytes(body.key), "value": _bytes(body.value),
        "headers": [{"name": header.name, "value": _bytes(header.value)} for header in body.headers],
        "response": None if body.response is None else body.response.model_dump(mode="json"),
    }  # fmt: skip


def _bytes(raw: bytes | None) -> dict[str, str | None] | None:
    if raw is None:
        return None
    try:
        text: str | None = raw.decode()
    except UnicodeDecodeError:
        text = None
    return {"base64": base64.b64encode(raw).decode(), "text": text}
