"""Policies as files, and what one changes against another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.first import refusal
from schemas.policy import LabelRule, Policy, PolicyError
from stream.errors import UsageError
from stream.load import load_policy
from stream.replay.budget import parse
from stream.replay.compare import Diff, compare
from stream.replay.fit import Fit, fit
from stream.replay.results import Results, open_results
from stream.replay.sides import by_policy
from stream.replay.verdicts import read_verdicts
from stream.settings import Settings

SCORE_ALL = "replay it with FLAGSTREAM_CASCADE=off"


def read_policy(path: Path) -> Policy:
    """The policy in a file. Raises `UsageError` with file, place and fault."""
    try:
        return Policy.from_toml(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"policy {path}: cannot be read: {error}") from error
    except PolicyError as error:
        raise UsageError(f"policy {error}") from error


def to_toml(policy: Policy, *, comments: Iterable[str] = ()) -> str:
    """The policy file that reads back as `policy`, below `comments`."""
    lines = [f"# {line}".rstrip() for comment in comments for line in comment.splitlines()]
    lines += ["version = 1", f"name = {_string(policy.name)}"]
    for label, rule in policy.labels.items():
        lines += ["", f"[labels.{label}]", f"review = {rule.review!r}"]
        lines += [] if rule.block is None else [f"block = {rule.block!r}"]
        lines.append(f"severity = {_string(rule.severity)}")
    lines += ["", "[risk]", f"elevated = {policy.risk.elevated}", f"highest = {policy.risk.highest}"]
    return "\n".join(lines) + "\n"


def _string(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 32 or ord(char) == 127 else f"\\{char}" if char in '"\\' else char for char in text
    )
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """`rules`: by label the fields that differ, as (before, after); a rule that one side lacks shows as None. `effect` is what that
    changes on a replay, where one was given."""

    before: Policy
    after: Policy
    rules: dict[str, dict[str, tuple[Any, Any]]]
    effect: Diff | None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "before": {"name": self.before.name, "digest": self.before.digest},
            "after": {"name": self.after.name, "digest": self.after.digest},
            "rules": {label: {name: list(pair) for name, pair in fields.items()} for label, fields in self.rules.items()},
            "effect": None if self.effect is None else self.effect.to_json(),
        }


def diff_policies(before: Policy, after: Policy, *, run: Path | None = None) -> PolicyDiff:
    """What `after` changes against `before`, in words and, with the folder of a replay, in decisions. Raises `UsageError`."""
    labels = dict.fromkeys((*before.labels, *after.labels))
    rules = {label: _changed(before.labels.get(label), after.labels.get(label)) for label in labels}
    found = {label: fields for label, fields in rules.items() if fields}
    if before.risk != after.risk:
        found["risk"] = {
            name: (getattr(before.risk, name), getattr(after.risk, name))
            for name in ("elevated", "highest") if getattr(before.risk, name) != getattr(after.risk, name)
        }
    effect = None
    if run is not None:
        results = open_results(run)
        names = results.manifest.labels
        for policy in (before, after):
            if results.manifest.floors and (why := refusal(results.manifest.floors, policy, names)):
                raise UsageError(f"{run}: a first model cleared texts of this replay, and {why}; {SCORE_ALL}")
        effect = compare(results, by_policy(before, names), by_policy(after, names))
    return PolicyDiff(before=before, after=after, rules=found, effect=effect)


def _changed(before: LabelRule | None, after: LabelRule | None) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (getattr(before, name, None), getattr(after, name, None)) for name in ("review", "block", "severity")}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def fit_policy(
    settings: Settings, budgets: Sequence[str], *, run: Path, out: Path | None = None, verdicts: str | None = None, name: str = "fitted"
) -> Fit:
    """The policy in force changed to keep within `budgets` on the replay in folder `run`, written to `out`. Raises `UsageError`, and
    `StreamError` when budgets contradict each other."""
    results = open_results(run)
    if results.manifest.floors:
        raise UsageError(f"{run}: a first model cleared texts of this replay, so that thresholds cannot be fitted to it; {SCORE_ALL}")
    base = load_policy(settings)
    asked = parse(budgets, results.manifest.labels)
    found = fit(results, base, asked, name=name, verdicts=None if verdicts is None else read_verdicts(settings, verdicts))
    if out is not None:
        try:
            out.write_text(to_toml(found.policy, comments=_provenance(results, base, found)))
        except OSError as error:
            raise UsageError(f"{out}: cannot be written: {error.strerror}") from error
    return found


def _provenance(results: Results, base: Policy, found: Fit) -> list[str]:
    manifest = results.manifest
    return [
        f"Fitted on {results.count:,} {manifest.kind}s of {manifest.topic}, model {manifest.model},",
        f"from policy {base.name!r} ({base.digest}).",
        *(f"Budget: {text}: {promise}." for text, promise in found.promises.items()),
        *(f"Queue: {one}." for one in found.queue),
        f"Busiest day: {found.busiest_day} reviews.",
        *(f"Note: {note}." for note in found.notes),
    ]
