"""A circuit breaker: an endpoint that fails again and again is left alone for a while, then asked once. Time is an argument."""

from __future__ import annotations

import math


class Breaker:
    """Opens after `failures` in a row; `pause_s` later one attempt goes through, whose end decides."""

    def __init__(self, *, failures: int, pause_s: float) -> None:
        self._failures = failures
        self._pause_s = pause_s
        self._in_a_row = 0
        self._until_s = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether ordinary attempts wait."""
        return self._in_a_row >= self._failures

    def wait_s(self, now_s: float) -> float:
        """How long to wait before an attempt; infinite while another one is the probe."""
        if not self.open:
            return 0.0
        return math.inf if self._probing else max(0.0, self._until_s - now_s)

    def begin(self) -> None:
        """An attempt begins, after `wait_s` said 0."""
        self._probing = self.open

    def succeeded(self) -> None:
        """The endpoint answered."""
        self._in_a_row = 0
        self._probing = False

    def failed(self, now_s: float) -> None:
        """It did not."""
        opened = not self.open
        self._in_a_row += 1
        if self.open and (opened or self._probing):
            # Attempts that were under way when it opened do not lengthen the pause.
            self._until_s = now_s + self._pause_s
        self._probing = False

    def abandoned(self) -> None:
        """The attempt ended without an answer: nothing is known."""
        self._probing = False
