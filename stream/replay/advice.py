"""Should I ship it? What the figures of a replay say, and what they leave open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stream.replay.compare import Diff
from stream.replay.summary import Summary

Answer = Literal["yes", "no", "depends", "unknown", "not asked"]


@dataclass(frozen=True, slots=True)
class Advice:
    """An answer in a word and a sentence, with the reasons behind it, the weightiest first."""

    answer: Answer
    headline: str
    reasons: tuple[str, ...]


def advise(summary: Summary) -> Advice:
    """What to do with the candidate of a replay."""
    reasons = _reservations(summary)
    tally, diff = summary.results.tally, summary.diff
    if not tally.events:
        return Advice("unknown", "Nothing can be said: the range holds no events.", reasons)
    if diff is None:
        flagged = f"{tally.flags:,} of {tally.events:,} events would be flagged"
        return Advice("not asked", f"{flagged} ({tally.flags / tally.events:.2%}). Nothing to compare with: give --against.", reasons)
    reasons = (_queue(diff), *reasons)
    moved = diff.counts["newly_flagged"] + diff.counts["newly_cleared"] + diff.counts["changed"]
    if not moved:
        return Advice("yes", f"It makes no difference: every one of {tally.events:,} events is decided as before.", reasons)
    if not summary.results.complete:
        return Advice("unknown", "Not yet: the replay was stopped before its end. Go on with --resume.", reasons)
    share = f"{moved:,} of {tally.events:,} events ({moved / tally.events:.2%}) would be decided otherwise"
    return _judge(diff, share, reasons)


def _judge(diff: Diff, share: str, reasons: tuple[str, ...]) -> Advice:
    found: Mapping[str, int] = diff.moved or {}
    gained, wrong = found.get("gained_true", 0), found.get("gained_false", 0)
    lost, spared = found.get("lost_true", 0), found.get("lost_false", 0)
    if not gained + wrong + lost + spared:
        why = "no verdict speaks of them" if diff.moved is not None else "without --verdicts nobody knows whether rightly"
        return Advice("unknown", f"Look before you ship: {share}, and {why}.", reasons)
    told = (
        f"Of the newly flagged events with a verdict {gained:,} were true and {wrong:,} false; "
        f"of the newly cleared ones {lost:,} were true and {spared:,} false."
    )
    open_ = found.get("gained_unknown", 0) + found.get("lost_unknown", 0)
    unknown = f"{open_:,} of the events that moved have no verdict." if open_ else "Every event that moved has a verdict."
    reasons = (told, unknown, *reasons)
    hits, false = gained - lost, wrong - spared
    if hits >= 0 and false <= 0 and (hits or false):
        return Advice("yes", f"Yes, by the verdicts: {hits:,} more true flags, {-false:,} fewer false ones.", reasons)
    if hits <= 0 and false >= 0 and (hits or false):
        return Advice("no", f"No, by the verdicts: {-hits:,} fewer true flags, {false:,} more false ones.", reasons)
    if not hits and not false:
        return Advice("depends", f"As good as before by the verdicts, although {share}.", reasons)
    if hits > 0:
        price = f"{hits:,} more true flags cost {false:,} more false ones ({false / hits:.1f} for each)"
    else:
        price = f"{-false:,} fewer false flags cost {-hits:,} true ones ({false / hits:.1f} spared for each)"
    return Advice("depends", f"It depends: {price}.", reasons)


def _queue(diff: Diff) -> str:
    days = max(1, len(diff.reviews))
    before, after = (sum(row[place] for row in diff.reviews.values()) / days for place in (0, 1))
    change = f" ({(after - before) / before:+.0%})" if before else ""
    return f"The review queue goes from {before:,.1f} to {after:,.1f} a day{change}."


def _reservations(summary: Summary) -> tuple[str, ...]:
    results = summary.results
    notes = [] if results.complete else ["The replay was stopped before its end: all figures are of a part of the range."]
    notes += [f"Missing: {gap}." for gap in results.manifest.gaps]
    tally = results.tally
    if tally.absent:
        notes.append(f"{tally.absent:,} offsets of the range hold no record (compacted, deleted meanwhile, or marks of transactions).")
    if tally.dead_letters:
        notes.append(f"{tally.dead_letters:,} records could not be judged ({tally.dead_letters / max(1, tally.events):.2%}).")
    if summary.evaluation is not None:
        notes += [f"{note[0].upper()}{note[1:]}." for note in summary.evaluation.notes]
    return tuple(notes)
