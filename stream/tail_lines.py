"""A record as one line for people. What comes from outside is stripped of everything that could steer a terminal."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from schemas.base import Contract
from schemas.codec import Record
from schemas.dead_letter import DeadLetter
from schemas.flag import Flag
from schemas.message import Message
from schemas.transaction import Transaction
from schemas.verdict import Verdict

NARROWEST = 40
DECISION_STYLES = {"block": "bold red", "review": "yellow", "allow": "green"}
SEVERITY_STYLES = {"critical": "bold magenta", "high": "magenta", "medium": "cyan", "low": "blue", "info": "dim"}
Cell = tuple[str, int, str]
"""Text, width in terminal cells (0: the rest of the line), style."""


def line_of(read: Record[Contract], *, width: int) -> Text:
    """The record in at most `width` cells."""
    body = read.body
    line = Text(no_wrap=True, end="")
    room = max(width, NARROWEST)
    for text, wanted, style in _cells(body, read):
        size = room if wanted == 0 else min(wanted, room)
        line.append(_fitted(text, size) if wanted else _cut(text, size), style=style)
        room -= size + 1
        if room <= 0:
            break
        line.append(" ")
    line.rstrip()
    return line


def _cells(body: Contract, read: Record[Contract]) -> list[Cell]:
    if isinstance(body, Flag):
        label = body.labels[0] if body.labels else None
        more = f"+{len(body.labels) - 1}" if len(body.labels) > 1 else ""
        return [
            (_clock(body.flagged_at), 8, "dim"),
            (body.entity, 14, ""),
            (f"{label.name}{more}" if label else "-", 12, SEVERITY_STYLES.get(label.severity, "") if label else "dim"),
            (f"{label.score:.2f}" if label else "-", 4, ""),
            (body.decision, 6, DECISION_STYLES.get(body.decision, "")),
            (body.reasons[0].text if body.reasons else "", 0, "dim"),
        ]
    if isinstance(body, DeadLetter):
        place = f"{body.topic}/{body.partition}@{body.offset}"
        if body.retried is not None:
            return [(_clock(body.retried.at), 8, "dim"), (place, 24, ""), ("retried", 14, "green"), (f"to {body.retried.topic}", 0, "dim")]
        return [(_clock(body.first_seen), 8, "dim"), (place, 24, ""), (body.error_class, 14, "red"), (body.error_text, 0, "dim")]
    if isinstance(body, Message):
        return [(_clock(body.occurred_at), 8, "dim"), (body.user_id, 16, "cyan"), (body.text, 0, "")]
    if isinstance(body, Transaction):
        amount = f"{body.amount_minor} {body.currency}"
        place = body.terminal_id or body.merchant_id or body.payee_id or ""
        return [(_clock(body.occurred_at), 8, "dim"), (body.entity, 16, "cyan"), (amount, 16, ""), (place, 16, ""), (body.id, 0, "dim")]
    if isinstance(body, Verdict):
        return [
            (_clock(body.occurred_at), 8, "dim"), (body.event_id, 20, ""), (body.label, 12, "cyan"), (body.outcome, 11, "yellow"),
            (body.source, 0, "dim"),
        ]  # fmt: skip
    return [(f"{read.raw.at.topic}/{read.raw.at.partition}@{read.raw.at.offset}", 0, "")]


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S")


def _fitted(text: str, size: int) -> str:
    return set_cell_size(_cut(text, size), size)


def _cut(text: str, size: int) -> str:
    """`text` in at most `size` cells, with an ellipsis where something is missing."""
    shown = printable(text[: 4 * size])
    if cell_len(shown) <= size:
        return shown
    return set_cell_size(shown, max(0, size - 1)).rstrip() + "…"


def printable(text: str) -> str:
    """`text` on one line, without control, formatting and unassigned characters, surrogates and private ones."""
    kept = "".join(" " if letter.isspace() else letter for letter in text if letter.isspace() or unicodedata.category(letter)[0] != "C")
    return " ".join(kept.split())
