"""The names of topics on the wire: those of the table, behind the prefix of a shared cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """Maps a topic of the table to its name on the broker and back; `prefix` is put in front as it is."""

    prefix: str = ""

    def wire(self, topic: str) -> str:
        """The name on the broker."""
        return f"{self.prefix}{topic}"

    def table(self, wire: str) -> str:
        """The name in the table of topics."""
        return wire.removeprefix(self.prefix)
