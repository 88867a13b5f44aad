"""Secrets, from environment variables alone: read once at start, and never printed."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.signature import SignatureError, key_of
from stream.act.rules import Rules, checked_url
from stream.errors import UsageError


class Environment:
    """The variables that a rules file may ask for. Its errors name variables, never values."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def missing(self, rules: Rules) -> list[str]:
        """Variables that the rules name and that are not set."""
        return sorted({name for sink in rules.sinks.values() for name in sink.variables if not self._variables.get(name)})

    def value(self, name: str) -> str:
        """What `name` holds. Raises `UsageError` when it is not set, or holds what no header or URL can carry."""
        found = self._variables.get(name, "")
        if not found:
            raise UsageError(f"environment variable {name} is not set; the rules need it")
        if not (found.isascii() and found.isprintable()):
            raise UsageError(f"environment variable {name}: only printable ASCII on one line can be used")
        return found

    def secret(self, name: str) -> str:
        """A secret to sign with. Raises `UsageError`."""
        found = self.value(name)
        try:
            key_of(found)
        except SignatureError as error:
            raise UsageError(f"environment variable {name}: {error}") from None
        return found

    def url(self, name: str) -> str:
        """A URL. Raises `UsageError`."""
        try:
            return checked_url(self.value(name))
        except ValueError:
            raise UsageError(f"environment variable {name} holds no http:// or https:// URL") from None

    def passed(self, names: tuple[str, ...]) -> dict[str, str]:
        """Those of `names` that are set, as they are."""
        return {name: self._variables[name] for name in names if name in self._variables}
