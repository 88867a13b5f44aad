"""Verdicts: said of a flag, and written out to learn from."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Broker, Json, Prefix, say, settings_for
from stream.errors import UsageError

verdicts_app = typer.Typer(no_args_is_help=True, help="What turned out to be true of flags.")


def verdict(
    flag: Annotated[str | None, typer.Argument(help="The flag's id; or leave it out, with --event and --label.", show_default=False)] = None,
    outcome: Annotated[str | None, typer.Argument(help="confirmed or overturned; of fraud also fraud or legitimate.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option(help="Which label is meant; may be repeated.", show_default=False)] = None,
    event: Annotated[str | None, typer.Option(help="The event's id, where there is no flag.", show_default=False)] = None,
    source: Annotated[str, typer.Option(help="Who says so.")] = "cli",
    at: Annotated[str | None, typer.Option(help="When it was known, or how long ago; else now.", show_default=False)] = None,
    supersedes: Annotated[str | None, typer.Option(help="Id of the verdict that this one replaces.", show_default=False)] = None,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Say whether a flag was right, and wait until the broker has it."""
    from stream.verdicts.find import find_flag
    from stream.verdicts.reviewer import Reviewer
    from stream.verdicts.say import OUTCOMES, Subject

    resolved = settings_for(broker=broker, prefix=prefix)
    if event is not None and outcome is None:
        flag, outcome = None, flag
    if outcome not in OUTCOMES:
        raise UsageError(f"say `flagstream verdict FLAG_ID OUTCOME`; outcomes are {', '.join(OUTCOMES)}")
    if event is not None:
        subject = Subject(event, flag, ())
    elif flag is not None:
        found = find_flag(resolved, flag)
        if found is None:
            raise UsageError(f"no flag {flag!r} in the topic (any more): give --event EVENT_ID and --label LABEL")
        subject = Subject.of(found)
    else:
        raise UsageError("of what? Give the id of a flag, or --event and --label")
    with Reviewer(source, broker=resolved.broker, prefix=resolved.prefix) as reviewer:
        said = reviewer.say(subject, outcome, label=label or (), at=None if at is None else _moment(at), supersedes=supersedes)
    if as_json:
        say([one.model_dump(mode="json", exclude_none=True) for one in said])
    else:
        for one in said:
            typer.echo(f"{one.outcome}  {one.label}  event {one.event_id}  verdict {one.id}")


@verdicts_app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="File to write (JSON Lines); only you may read it.")],
    label: Annotated[list[str] | None, typer.Option(help="Only verdicts on this label; may be repeated.", show_default=False)] = None,
    since: Annotated[str | None, typer.Option(help="Only verdicts since this time, or since so long ago.", show_default=False)] = None,
    texts_only: Annotated[bool, typer.Option("--texts-only", help="Leave out those whose text is not there any more.")] = False,
    broker: Broker = None,
    prefix: Prefix = None,
    as_json: Json = False,
) -> None:
    """Write the verdicts that stand, with texts and scores, for `tune` and `replay --verdicts`."""
    from stream.replay.window import bound
    from stream.verdicts.export import export as run

    done = run(
        settings_for(broker=broker, prefix=prefix), out, labels=label or (), texts_only=texts_only,
        since=bound(since, name="--since", now=datetime.now(UTC)),
    )  # fmt: skip
    if as_json:
        say({
            "written": done.written, "texts": done.texts, "left_out": {why: count for why, count in done.left_out.items() if count},
            "unjoined": dict(done.unjoined), "events": done.events,
        })  # fmt: skip
        return
    typer.echo(f"{done.written} verdicts written to {out}, {done.texts} with their text")
    for why, count in done.left_out.items():
        if count:
            typer.echo(f"left out: {count} ({why})", err=True)
    for why, count in done.unjoined.items():
        events = ", ".join(done.events[why])
        typer.echo(f"{why}: {count}: {events}{' …' if count > len(done.events[why]) else ''}", err=True)


def _moment(text: str) -> datetime:
    from stream.replay.window import bound

    found = bound(text, name="--at", now=datetime.now(UTC))
    if found is None or found.at_ms is None:
        raise UsageError(f"--at {text!r}: not a time (2026-01-31, 2026-01-31T12:00Z, 7d)")
    return datetime.fromtimestamp(found.at_ms / 1000, UTC)
