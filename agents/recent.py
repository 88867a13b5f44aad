"""What an agent last read from its state or wrote to it, so that a value that has not changed since is not put together again.

It holds nothing that the state does not: a value counts only for the very bytes that it was made of."""

from __future__ import annotations

from typing import Generic, TypeVar

from agents.protocol import StateKey

T = TypeVar("T")

HELD = 4_096
"""Values of the newer of two generations; twice as many are held at most, of about 8 kB each."""


class Recent(Generic[T]):
    """Values by the place and the bytes that they are stored as. Not to be used by two threads at a time."""

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._young: dict[StateKey, tuple[bytes, T]] = {}
        self._old: dict[StateKey, tuple[bytes, T]] = {}

    def get(self, at: StateKey, stored: bytes) -> T | None:
        """The value of the bytes `stored` at `at`; None if it is not held."""
        found = self._young.get(at) or self._old.get(at)
        return found[1] if found is not None and found[0] == stored else None

    def put(self, at: StateKey, stored: bytes, value: T) -> None:
        """Hold `value`, which the bytes `stored` say."""
        if len(self._young) >= self._held and at not in self._young:
            # By generations: to forget the oldest of a dict one by one is a walk over all that were forgotten before.
            self._old, self._young = self._young, {}
        self._young[at] = (stored, value)
