"""What the demo has seen so far: counts, rates and latencies of the flags that arrived."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from schemas.flag import Flag

RECENT = 200
MAX_LATENCIES = 200_000


@dataclass(slots=True)
class Watch:
    """Mutable tallies; `recent` holds the latest flags, newest last, and `live_in` counts what came after the warm-up."""

    messages_in: int = 0
    transactions_in: int = 0
    malformed_in: int = 0
    live_in: int = 0
    flags: int = 0
    dead_letters: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LATENCIES))
    recent: deque[Flag] = field(default_factory=lambda: deque(maxlen=RECENT))
    _seen: set[str] = field(default_factory=set)

    def see(self, flag: Flag, latency_ms: float) -> None:
        """Count a flag that arrived `latency_ms` after its event was appended; a repeated one counts once."""
        if flag.id in self._seen:
            return
        self._seen.add(flag.id)
        self.flags += 1
        self.decisions[flag.decision] += 1
        for label in flag.labels:
            self.by_label[label.name] += 1
        self.latencies_ms.append(latency_ms)
        self.recent.append(flag)

    def percentile(self, share: float) -> float | None:
        """The latency in ms below which `share` of the flags arrived (nearest rank); None before the first."""
        if not self.latencies_ms:
            return None
        ordered = sorted(self.latencies_ms)
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)

    def summary(self, *, unaccounted: int) -> dict[str, Any]:
        """The closing document; `unaccounted` counts events that the worker had not finished at the end."""
        return {
            "messages_in": self.messages_in,
            "transactions_in": self.transactions_in,
            "malformed_in": self.malformed_in,
            "flags": self.flags,
            "dead_letters": self.dead_letters,
            "by_label": dict(self.by_label.most_common()),
            "decisions": dict(self.decisions.most_common()),
            "p50_ms": self.percentile(0.50),
            "p99_ms": self.percentile(0.99),
            "unaccounted": unaccounted,
        }
