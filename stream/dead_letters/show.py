"""Dead letters in the terminal. What comes from outside cannot steer it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from schemas.dead_letter import DeadLetter
from stream.dead_letters.letter import Letter, State
from stream.tail_lines import printable

STYLES: dict[State, str] = {"open": "red", "retried": "green", "unclear": "yellow"}
REVEALED = 4_000
"""So many characters of a value are shown; `--json` gives all of it."""


def table(letters: Sequence[Letter]) -> Table:
    """A row a letter: when, id, where the record lay, what was wrong, what became of it."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    rows.add_column("first seen (UTC)", no_wrap=True, style="dim")
    rows.add_column("id", no_wrap=True)
    rows.add_column("record", overflow="fold", style="cyan")
    rows.add_column("try", justify="right")
    rows.add_column("state", no_wrap=True)
    rows.add_column("error", overflow="fold")
    for letter in letters:
        rows.add_row(
            f"{letter.first_seen:%m-%d %H:%M:%S}", letter.id[:12], Text(_place(letter)), str(letter.attempt),
            Text(letter.state, style=STYLES[letter.state]), Text(_error(letter)),
        )  # fmt: skip
    return rows


def card(letter: Letter, body: DeadLetter | None) -> Table:
    """All about one letter; with its `body`, what the record holds."""
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column(style="bold")
    rows.add_column(overflow="fold")
    went = letter.retried
    cells = {
        "id": letter.id,
        "record": _place(letter),
        "first seen": f"{letter.first_seen:%Y-%m-%d %H:%M:%S}Z",
        "error": _error(letter),
        "attempt": str(letter.attempt),
        "state": letter.state if went is None else f"{letter.state} at {went.at:%Y-%m-%d %H:%M:%S}Z, to {went.topic}",
        "key": _size(letter.key_bytes) if body is None else _text(body.key),
        "headers": str(letter.headers) if body is None else "\n".join(f"{header.name}: {_text(header.value)}" for header in body.headers),
        "value": _size(letter.value_bytes) if body is None else _text(body.value),
    }
    if went is not None and went.offset is not None:
        cells["state"] += f"/{went.partition}@{went.offset}"
    if letter.sink is not None:
        cells["sink"] = letter.sink
        cells["answer"] = "none" if letter.status is None else f"status {letter.status}"
        if body is not None and body.response is not None:
            cells["answer"] += f": {body.response.body}"
    for name, value in cells.items():
        rows.add_row(name, Text("\n".join(printable(line) for line in value.split("\n"))))
    return rows


def _place(letter: Letter) -> str:
    return printable(letter.place if letter.sink is None else f"{letter.place} for {letter.sink}")


def _error(letter: Letter) -> str:
    return printable(f"{letter.error_class}: {letter.error_text}" + (f" (status {letter.status})" if letter.status is not None else ""))


def _size(size: int | None) -> str:
    return "none" if size is None else f"{size:,} bytes (--reveal shows them)"


def _text(raw: bytes | None) -> str:
    if raw is None:
        return "none"
    text = raw[: 4 * REVEALED].decode("utf-8", "replace")
    return text[:REVEALED] + (f" … ({len(raw):,} bytes)" if len(text) > REVEALED else "")
