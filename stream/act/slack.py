"""A flag as a line for people, to a webhook that takes what Slack's does (Mattermost, Rocket.Chat, Discord's `/slack` …)."""

from __future__ import annotations

from pydantic_core import to_json

from schemas.flag import Flag
from stream.act.answer import Answer
from stream.act.endpoint import Endpoint
from stream.tail_lines import printable

LONGEST = 300
"""Characters of any one part of the line."""


class Slack:
    """Posts to `endpoint`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def open(self) -> None:
        """Open the endpoint."""
        await self._endpoint.open()

    async def close(self) -> None:
        """Close the endpoint."""
        await self._endpoint.close()

    async def send(self, flag: Flag) -> Answer:
        """Post the line."""
        return await self._endpoint.post(to_json({"text": text_of(flag)}), {})


def text_of(flag: Flag) -> str:
    """Decision, labels, whom it is about, why, and the flag's id; nothing of it can mention a channel or draw a link."""
    labels = ", ".join(f"{_plain(label.name)} {label.score:.2f} ({label.severity})" for label in flag.labels[:8])
    why = f": {_plain(flag.reasons[0].text)}" if flag.reasons else ""
    return f"*{flag.decision}* {labels} · {flag.kind} of {_plain(flag.entity)}{why} · flag {_plain(flag.id)}"


def _plain(text: str) -> str:
    """`text` without Slack's control characters, as its documentation wants them escaped."""
    return printable(text[:LONGEST]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
