"""What a sink is: somewhere a flag can be handed to."""

from __future__ import annotations

from typing import Protocol

from schemas.flag import Flag
from stream.act.answer import Answer


class Sink(Protocol):
    """Takes flags, several at once. What goes wrong with one is an answer, never an exception."""

    async def open(self) -> None:
        """Get ready. Raises `StreamError`."""
        ...

    async def send(self, flag: Flag) -> Answer:
        """Hand over `flag`; returns within the time that the sink's rules give an attempt."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
