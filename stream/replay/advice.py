"""Should I ship it? What the figures of a replay say, and what they leave open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stream.replay.compare import Diff
from stream.replay.sides import PUBLISHED

if TYPE_CHECKING:
    from stream.replay.summary import Summary

FAULTS = 3
"""Kinds of fault, and currencies, that a sentence names."""
Answer = Literal["yes", "no", "depends", "unknown", "not asked"]


@dataclass(frozen=True, slots=True)
class Advice:
    """An answer in a word and a sentence, with the reasons behind it, the weightiest first."""

    answer: Answer
    headline: str
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"answer": self.answer, "headline": self.headline, "reasons": list(self.reasons)}


def advise(summary: Summary) -> Advice:
    """What to do with the candidate of a replay."""
    reasons = _reservations(summary)
    tally, diff = summary.results.tally, summary.diff
    if not tally.events:
        return Advice("unknown", "Nothing can be said: the range holds no events.", reasons)
    if diff is None:
        flagged = f"{tally.flags:,} of {tally.events:,} events would be flagged"
        return Advice("not asked", f"{flagged} ({tally.flags / tally.events:.2%}). Nothing to compare with: give --against.", reasons)
    if diff.before == PUBLISHED and not diff.counts["flagged_before"]:
        return Advice("unknown", f"Nothing to compare with: no flag that was published is on any of these {tally.events:,} events.", reasons)
    reasons = (_queue(diff), *reasons)
    if not summary.results.complete:
        return Advice("unknown", "Not yet: the replay was stopped before its end. Go on with --resume.", reasons)
    moved = diff.counts["newly_flagged"] + diff.counts["newly_cleared"] + diff.counts["changed"]
    if not moved and diff.counts["relabelled"]:
        return Advice("depends", f"Every event is decided as before, but {diff.counts['relabelled']:,} are flagged for other labels.", reasons)
    if not moved:
        return Advice("yes", f"It makes no difference: every one of {tally.events:,} events is decided as before.", reasons)
    share = f"{moved:,} of {tally.events:,} events ({moved / tally.events:.2%}) would be decided otherwise"
    return _judge(diff, share, reasons)


def _judge(diff: Diff, share: str, reasons: tuple[str, ...]) -> Advice:
    found: Mapping[str, int] = diff.moved or {}
    flags, blocks = (
        {word: tuple(found.get(f"{side}_{word}", 0) for side in sides) for word in ("true", "false", "unknown")}
        for sides in (("gained", "lost"), ("stricter", "milder"))
    )
    known_flags, known_blocks = (sum(one["true"]) + sum(one["false"]) for one in (flags, blocks))
    if not known_flags + known_blocks:
        why = "no verdict speaks of them" if diff.moved is not None else "without --verdicts nobody knows whether rightly"
        return Advice("unknown", f"Look before you ship: {share}, and {why}.", reasons)
    told = []
    if known_flags:
        told.append(_told("newly flagged events with a verdict", "newly cleared ones", flags))
    if known_blocks:
        told.append(_told("flagged events with a verdict that are blocked only now", "those blocked no longer", blocks))
    open_ = sum(flags["unknown"]) + sum(blocks["unknown"])
    unknown = f"{open_:,} of the events that moved have no verdict." if open_ else "Every event that moved has a verdict."
    reasons = (*told, unknown, *reasons)
    nets = [(word, *_net(one)) for word, one in (("flags", flags), ("blocks", blocks))]
    changes = [(word, hits, false) for word, hits, false in nets if hits or false]
    if not changes:
        return Advice("depends", f"As good as before by the verdicts, although {share}.", reasons)
    summed = "; ".join(f"{_more(hits, f'true {word}')}, {_more(false, 'false ones')}" for word, hits, false in changes)
    if all(hits >= 0 and false <= 0 for _, hits, false in changes):
        return Advice("yes", f"Yes, by the verdicts: {summed}.", reasons)
    if all(hits <= 0 and false >= 0 for _, hits, false in changes):
        return Advice("no", f"No, by the verdicts: {summed}.", reasons)
    if len(changes) > 1:
        return Advice("depends", f"It depends: {summed}.", reasons)
    ((word, hits, false),) = changes
    if hits > 0:
        price = f"{hits:,} more true {word} cost {false:,} more false ones ({false / hits:.1f} for each)"
    else:
        price = f"{-false:,} fewer false {word} cost {-hits:,} true ones ({false / hits:.1f} spared for each)"
    return Advice("depends", f"It depends: {price}.", reasons)


def _net(moved: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    (gained, lost), (wrong, spared) = moved["true"], moved["false"]
    return gained - lost, wrong - spared


def _told(new: str, gone: str, moved: Mapping[str, tuple[int, ...]]) -> str:
    (gained, lost), (wrong, spared) = moved["true"], moved["false"]
    return f"Of the {new} {gained:,} were true and {wrong:,} false; of the {gone} {lost:,} were true and {spared:,} false."


def _more(change: int, what: str) -> str:
    return f"{abs(change):,} {'more' if change > 0 else 'fewer'} {what}" if change else f"as many {what} as before"


def _queue(diff: Diff) -> str:
    before, after = diff.reviews_a_day()
    change = f" ({(after - before) / before:+.0%})" if before else ""
    seen = f", as reckoned from {diff.days * 24:.1f} hours" if diff.days < 1 else ""
    return f"The review queue goes from {before:,.1f} to {after:,.1f} a day{change}{seen}."


def _reservations(summary: Summary) -> tuple[str, ...]:
    results = summary.results
    notes = [] if results.complete else ["The replay was stopped before its end: all figures are of a part of the range."]
    notes += [f"Missing: {gap}." for gap in (*results.manifest.gaps, *(summary.diff.notes if summary.diff else ()))]
    tally = results.tally
    if tally.absent:
        notes.append(f"{tally.absent:,} offsets of the range hold no record (compacted, deleted meanwhile, or marks of transactions).")
    if tally.dead_letters:
        faults = "; ".join(f"{count:,} × {fault}" for fault, count in tally.faults.most_common(FAULTS))
        more = "; and others" if len(tally.faults) > FAULTS else ""
        notes.append(f"{tally.dead_letters:,} records could not be judged ({tally.dead_letters / max(1, tally.events):.2%}): {faults}{more}.")
    lacking = [label for label in results.manifest.labels if label not in summary.policy.labels]
    if lacking:
        notes.append(f"The policy has no rule for {', '.join(lacking)}, so that nothing is flagged for {'it' if len(lacking) == 1 else 'them'}.")
    if len(tally.currencies) > 1:
        known = ", ".join(sorted(tally.currencies)[:FAULTS]) + (" …" if len(tally.currencies) > FAULTS else "")
        notes.append(f"Amounts are in {len(tally.currencies)} currencies ({known}), so that money is not added up.")
    if summary.evaluation is not None:
        notes += [f"{note[0].upper()}{note[1:]}." for note in summary.evaluation.notes]
    return tuple(notes)
