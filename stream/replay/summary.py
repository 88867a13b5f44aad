"""The counts of a run as one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.policy import Policy
from stream.replay.advice import advise
from stream.replay.compare import KINDS, Diff
from stream.replay.evaluate import Evaluation
from stream.replay.results import Results
from stream.replay.roi import Return


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a replay found, for `--json`. `events` were read (those that only warmed up apart); `decisions` counts flags, so an
    event that is neither in it nor among `dead_letters` was allowed."""

    results: Results
    policy: Policy
    seconds: float
    returned: Return
    diff: Diff | None = None
    evaluation: Evaluation | None = None
    judged: int | None = None
    """Events that were judged in these `seconds`: without what an earlier try had done. None: by workers, in a time of their own."""
    command: str = ""
    """What gives the same again."""
    shown: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """What the examples say, by part and offset, where somebody asked to see it."""

    @property
    def rate(self) -> float | None:
        """Events judged a second, those of the warm-up included; None where that cannot be said."""
        return None if self.judged is None or self.seconds <= 0 else self.judged / self.seconds

    def to_json(self) -> dict[str, Any]:
        """The document."""
        tally, manifest = self.results.tally, self.results.manifest
        document = {
            "events": tally.events,
            "flags": tally.flags,
            "dead_letters": tally.dead_letters,
            "by_label": dict(sorted(tally.by_label.items())),
            "decisions": dict(sorted(tally.decisions.items())),
            "seconds": round(self.seconds, 3),
            "events_per_s": None if self.rate is None else round(self.rate, 1),
            "complete": self.results.complete,
            "warmup": tally.warmup,
            "absent": tally.absent,
            "redelivered": tally.redelivered,
            "faults": dict(tally.faults.most_common()),
            "gaps": list(manifest.gaps),
            "kind": manifest.kind,
            "source": manifest.topic,
            "model": manifest.model,
            "policy": manifest.policy,
            "range": {str(part.number): {"read_from": part.start, "from": part.counted, "to": part.end} for part in manifest.parts},
            "begun": manifest.started_at,
            "run": str(self.results.folder),
            "command": self.command,
            "ship": advise(self).to_json(),
            "return": self.returned.to_json(),
        }
        if self.diff is not None:
            found = self.diff.to_json() | {"examples": self._examples(self.diff)}
            document |= {kind: found.pop(kind) for kind in KINDS}
            document["against"] = found
        if self.evaluation is not None:
            document["quality"] = self.evaluation.to_json()
        return document

    def _examples(self, diff: Diff) -> list[dict[str, Any]]:
        return [
            {
                "what": kind, "partition": one.part, "offset": one.offset, "before": one.before, "after": one.after, "scores": one.scores,
                **({"event": said} if (said := self.shown.get((one.part, one.offset))) is not None else {}),
            }
            for kind, examples in diff.examples.items() for one in examples
        ]
