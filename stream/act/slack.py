"""A flag as a line for people, to a webhook that takes what Slack's does (Mattermost, Rocket.Chat, Discord's `/slack` …)."""

from __future__ import annotations

from pydantic_core import to_json

from schemas.flag import Flag
from stream.act.answer import Answer
from stream.act.endpoint import Endpoint
from stream.tail_lines import printable

LONGEST = 300
"""Characters of any one part of the line."""
LABELS = 8
LONGEST_LABEL = 64
APART = "\u200b"
"""A space of no width: parts what would call somebody, or draw a link."""


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
    """Decision, labels, whom it is about, why, and the flag's id; nothing of it can call a person or a channel, or draw a link, be it
    in Slack or in those that take what Slack takes."""
    labels = ", ".join(f"{_plain(label.name[:LONGEST_LABEL])} {label.score:.2f} ({_plain(label.severity)})" for label in flag.labels[:LABELS])
    why = f": {_plain(flag.reasons[0].text)}" if flag.reasons else ""
    return f"*{_plain(flag.decision)}* {labels} · {_plain(flag.kind)} of {_code(flag.entity)}{why} · flag {_code(flag.id)}"


def _plain(text: str) -> str:
    """`text` as prose."""
    return _escaped(text).replace("@", f"@{APART}").replace("://", f":{APART}//")


def _code(text: str) -> str:
    """`text` as a word of code, which can be copied as it is and in which nobody is called."""
    return f"`{_escaped(text).replace('`', chr(39))}`"


def _escaped(text: str) -> str:
    """`text` on one line, without Slack's control characters, as its documentation wants them escaped."""
    return printable(text[:LONGEST]).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
