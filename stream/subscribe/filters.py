"""Which flags a consumer wants."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from schemas.flag import DECISIONS, Decision, Flag, LabelScore
from schemas.labels import BY_NAME, KINDS, SEVERITIES, Kind, Severity
from stream.errors import UsageError

_RANK: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_UNKNOWN = len(SEVERITIES)
"""The rank of a severity that a later version added: nobody who wants the severe ones shall miss it."""


class Wanted(Protocol):
    """Says which flags are handed out."""

    def accepts(self, flag: Flag) -> bool:
        """Whether `flag` is wanted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Conditions that must all hold; one that is None always does."""

    labels: frozenset[str] | None = None
    decisions: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    entities: frozenset[str] | None = None
    tenants: frozenset[str] | None = None
    min_severity: Severity | None = None
    min_score: float | None = None

    @classmethod
    def of(
        cls,
        *,
        labels: Collection[str] | None = None,
        decisions: Collection[Decision] | Collection[str] | None = None,
        kinds: Collection[Kind] | Collection[str] | None = None,
        min_severity: Severity | None = None,
        min_score: float | None = None,
        entities: Collection[str] | None = None,
        tenants: Collection[str] | None = None,
    ) -> Self:
        """The filter of these words. Raises `UsageError` for a word that no flag can carry."""
        if min_severity is not None:
            _known("severity", [min_severity], SEVERITIES)
        if min_score is not None and not 0.0 <= min_score <= 1.0:
            raise UsageError(f"min_score is a probability from 0 to 1, not {min_score}")
        return cls(
            labels=_known("label", labels, BY_NAME),
            decisions=_known("decision", decisions, DECISIONS),
            kinds=_known("kind", kinds, KINDS),
            entities=_set("entity", entities),
            tenants=_set("tenant", tenants),
            min_severity=min_severity,
            min_score=min_score,
        )

    def accepts(self, flag: Flag) -> bool:
        """Whether `flag` is wanted: one of its labels satisfies every condition on labels, and the flag all others."""
        return (
            (self.decisions is None or flag.decision in self.decisions)
            and (self.kinds is None or flag.kind in self.kinds)
            and (self.entities is None or flag.entity in self.entities)
            and (self.tenants is None or flag.tenant in self.tenants)
            and (
                (self.labels is None and self.min_score is None and self.min_severity is None)
                or any(self._accepts_label(label) for label in flag.labels)
            )
        )

    def _accepts_label(self, label: LabelScore) -> bool:
        return (
            (self.labels is None or label.name in self.labels)
            and (self.min_score is None or label.score >= self.min_score)
            and (self.min_severity is None or _RANK.get(label.severity, _UNKNOWN) >= _RANK[self.min_severity])
        )


def _set(what: str, words: Collection[str] | None) -> frozenset[str] | None:
    if words is None:
        return None
    if isinstance(words, str):
        # A set of its letters would silently match nothing.
        raise UsageError(f"{what}: give a collection such as {{{words!r}}}, not a single string")
    return frozenset(words)


def _known(what: str, words: Collection[str] | None, known: Iterable[str]) -> frozenset[str] | None:
    chosen = _set(what, words)
    if chosen is None:
        return None
    allowed = list(known)
    unknown = sorted(chosen.difference(allowed))
    if unknown:
        raise UsageError(f"unknown {what} {unknown[0]!r}; known: {', '.join(allowed)}")
    return chosen
