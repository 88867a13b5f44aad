from __future__ import annotations

import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stream.errors import UsageError
from stream.replay.advice import advise
from stream.replay.compare import Diff, compare
from stream.replay.evaluate import evaluate
from stream.replay.prices import Prices
from stream.replay.report import render, write_report
from stream.replay.results import Results
from stream.replay.roi import returns
from stream.replay.sides import by_policy
from stream.replay.summary import Summary
from stream.replay.terminal import panel
from stream.replay.verdicts import Verdicts

WORDS = ["cheap pills now", "you fool", "thanks friend", "see you", "idiot offer buy", "never now", "free pills"]
SECRET = "<script>alert('tenant')</script>"


@pytest.fixture(scope="module")
def results(kit: Any, tmp_path_factory: pytest.TempPathFactory) -> Results:
    events = [
        kit.message(number * 10, f"{WORDS[number % 7]} {WORDS[number % 5]}", tenant=SECRET if number % 2 else "b") for number in range(700)
    ]
    records = [kit.record(event, offset=place) for place, event in enumerate([*events, b"{"])]
    judge = kit.TinyJudge(kind="message", policy=kit.policy(harassment=0.6, spam=0.7))
    whole: Results = kit.run_all(kit.ListSource({0: records}), judge, tmp_path_factory.mktemp("run"))
    return whole


def verdicts(kit: Any, *, outcome: str | None = None) -> Verdicts:
    outcomes = ["confirmed", "overturned", "confirmed"]
    return Verdicts.of([[
        kit.record({
            "id": f"v{number}", "event_id": f"m{number * 10}", "label": "spam", "source": "test", "occurred_at": "2026-01-20T00:00:00Z",
            "outcome": outcome or outcomes[number % 3],
        })
        for number in range(600)
    ]])


def summarise(results: Results, kit: Any, said: Verdicts | None, *, before: float = 0.95, after: float = 0.7, command: str = "") -> Summary:
    labels, policy = results.manifest.labels, kit.policy(spam=after)
    diff = compare(results, by_policy(kit.policy(spam=before), labels), by_policy(policy, labels), verdicts=said)
    return Summary(
        results=results, policy=policy, seconds=2.0, judged=results.count, command=command, returned=returns(results, policy, said, Prices()), diff=diff,
        evaluation=None if said is None else evaluate(results, said, policy),
    )


class Page(HTMLParser):
    """Collects what a page would fetch, and its tags."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_the_report_stands_alone_and_escapes_what_it_was_given(results: Results, kit: Any, tmp_path: Path) -> None:
    write_report(tmp_path / "out.html", summarise(results, kit, verdicts(kit), command="flagstream replay --topic messages <x>"))
    text = (tmp_path / "out.html").read_text()
    page = Page()
    page.feed(text)
    assert all(link.startswith("href=#") for link in page.fetched)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.tags.count("svg") >= 4
    assert SECRET not in text
    assert "alert(&#39;tenant&#39;)" in text
    assert "flagstream replay --topic messages &lt;x&gt;" in text
    assert results.manifest.model in text
    assert "Should I ship it?" in text
    assert "url(" not in text


def test_a_stopped_replay_says_so_in_every_form(results: Results, kit: Any) -> None:
    from dataclasses import replace

    whole = summarise(results, kit, verdicts(kit))
    part = replace(whole, results=replace(results, complete=False))
    assert "Partial: this replay was stopped" in render(part)
    assert "Partial: this replay was stopped" not in render(whole)
    assert part.to_json()["complete"] is False
    assert advise(part).answer == "unknown"


def test_the_answer_follows_the_verdicts(results: Results, kit: Any) -> None:
    assert advise(summarise(results, kit, verdicts(kit, outcome="confirmed"))).answer == "yes"
    assert advise(summarise(results, kit, verdicts(kit, outcome="overturned"))).answer == "no"
    assert advise(summarise(results, kit, verdicts(kit, outcome="overturned"), before=0.7, after=0.95)).answer == "yes"
    assert advise(summarise(results, kit, verdicts(kit))).answer == "depends"
    assert advise(summarise(results, kit, None)).answer == "unknown"
    assert advise(summarise(results, kit, None, before=0.7)).headline.startswith("It makes no difference")


def test_the_counts_of_the_answer_are_those_of_the_events(results: Results, kit: Any) -> None:
    moved = summarise(results, kit, verdicts(kit)).to_json()
    told = moved["against"]["moved"]
    assert told["gained_true"] + told["gained_false"] + told["gained_unknown"] == moved["newly_flagged"] > 0
    assert moved["newly_cleared"] == 0
    json.dumps(moved)


def test_the_terminal_shows_the_answer_in_80_columns(results: Results, kit: Any) -> None:
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(panel(summarise(results, kit, verdicts(kit))))
    shown = captured.get()
    assert "It depends" in shown
    assert "1 records could not be judged" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_a_report_that_cannot_be_written_is_named(results: Results, kit: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(tmp_path / "no" / "out.html", summarise(results, kit, None))


def flat(shown: Any) -> str:
    console = Console(width=200, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    return " ".join(captured.get().replace("│", " ").split())


def test_document_terminal_and_page_tell_the_same_figures(results: Results, kit: Any) -> None:
    summary = summarise(results, kit, verdicts(kit), command="flagstream replay --topic messages")
    told, page, shown = summary.to_json(), render(summary), flat(panel(summary))
    for text in (told["ship"]["headline"].partition(": ")[2], *told["ship"]["reasons"]):
        assert text.lower() in page.lower().replace("&#39;", "'")
        assert text.lower() in shown.lower()
    reviews = told["against"]["reviews_per_day"]["after"]
    assert f"{reviews:,.1f} a day" in shown
    assert told["return"]["reviews_cost_a_day"] == pytest.approx(reviews * 0.5, abs=0.01)
    assert f"reviews cost {reviews * 0.5:,.2f} a day" in shown
    assert sum(after for _, after in told["against"]["reviews_by_day"].values()) == pytest.approx(reviews * summary.diff.days, abs=0.1)  # type: ignore[union-attr]
    assert told["command"] == "flagstream replay --topic messages"
    assert told["range"] == {"0": {"read_from": 0, "from": 0, "to": 701}}
    assert told["quality"]["labels"]["spam"]["curves"]["recall_precision"]
    assert sum(one["events"] for one in told["quality"]["labels"]["spam"]["calibration"]) == told["quality"]["labels"]["spam"]["known"]


def test_when_an_alternative_pays_is_said_everywhere(results: Results, kit: Any) -> None:
    from dataclasses import replace

    whole = summarise(results, kit, verdicts(kit))
    found = replace(whole, returned=returns(results, whole.policy, None, Prices(call=0.01, review=2.0)))
    back = found.to_json()["return"]
    assert back["call_cost_a_day"] == pytest.approx(0.01 * back["events_a_day"])
    assert back["even_at_reviews_a_day"] == pytest.approx((back["call_cost_a_day"] - back["cpu_cost_a_day"]) / 2)
    assert f"with {back['even_at_reviews_a_day']:,.1f} fewer reviews" in render(found)
    assert f"with {back['even_at_reviews_a_day']:,.1f} fewer reviews" in flat(panel(found))
    free = replace(whole, returned=returns(results, whole.policy, None, Prices(call=0.0)))
    assert "The alternative costs no more" in render(free)


def test_only_what_was_judged_in_this_time_makes_the_rate(results: Results, kit: Any) -> None:
    from dataclasses import replace

    whole = summarise(results, kit, None)
    assert replace(whole, judged=10).to_json()["events_per_s"] == 5.0
    by_workers = replace(whole, judged=None)
    assert by_workers.to_json()["events_per_s"] is None
    assert "by workers" in render(by_workers)


def test_other_labels_and_no_more_false_flags_are_told_as_what_they_are(results: Results, kit: Any) -> None:
    whole = summarise(results, kit, verdicts(kit, outcome="confirmed"))
    assert "as many false ones as before" in advise(whole).headline
    labels = results.manifest.labels
    both = by_policy(kit.policy(spam=0.0, harassment=0.99999), labels)
    other = by_policy(kit.policy(spam=0.0, harassment=0.0), labels)
    only_labels = compare(results, both, other)
    if not sum(only_labels.counts[kind] for kind in ("newly_flagged", "newly_cleared", "changed")):
        from dataclasses import replace

        assert advise(replace(whole, diff=only_labels)).answer == "depends"


def test_blocks_alone_are_judged_by_the_verdicts_too(results: Results, kit: Any) -> None:
    from dataclasses import replace

    from schemas.policy import LabelRule, Policy

    def blocking(at: float | None) -> Policy:
        return Policy(name="b", labels={"spam": LabelRule(review=0.5, block=at, severity="low")})

    labels = results.manifest.labels
    for outcome, answer in (("confirmed", "yes"), ("overturned", "no")):
        said = verdicts(kit, outcome=outcome)
        diff = compare(results, by_policy(blocking(None), labels), by_policy(blocking(0.7), labels), verdicts=said)
        found = advise(replace(summarise(results, kit, said), diff=diff))
        assert diff.counts["newly_flagged"] == 0
        assert diff.counts["changed"] > 0
        assert found.answer == answer
        assert "blocks" in found.headline


def test_better_flags_do_not_hide_worse_blocks(results: Results, kit: Any) -> None:
    from dataclasses import replace

    summary = summarise(results, kit, verdicts(kit))
    assert summary.diff is not None
    whole = summary.diff

    def moved(**counts: int) -> Diff:
        return replace(whole, moved=Counter(counts))

    worse = advise(replace(summary, diff=moved(gained_true=1, stricter_false=50)))
    assert (worse.answer, worse.headline) == (
        "depends", "It depends: 1 more true flags, as many false ones as before; as many true blocks as before, 50 more false ones.",
    )
    assert advise(replace(summary, diff=moved(gained_true=1, milder_false=5))).answer == "yes"
    assert advise(replace(summary, diff=moved(gained_false=1, milder_true=5))).answer == "no"
    assert advise(replace(summary, diff=moved(gained_true=2, lost_true=2, milder_true=5))).answer == "no"


def test_nothing_published_is_no_reason_to_ship(results: Results, kit: Any) -> None:
    from dataclasses import replace

    from stream.replay.published import Published
    from stream.replay.sides import by_flags

    said = verdicts(kit, outcome="confirmed")
    none = Published.of([], kind="message", topic="messages")
    diff = compare(results, by_flags(none, gone=("early flags",)), by_policy(kit.policy(spam=0.7), results.manifest.labels), verdicts=said)
    found = advise(replace(summarise(results, kit, said), diff=diff))
    assert found.answer == "unknown"
    assert "no flag that was published" in found.headline
    assert "Missing: early flags." in found.reasons


def test_labels_without_a_rule_and_kinds_of_fault_are_named(results: Results, kit: Any) -> None:
    reasons = " ".join(advise(summarise(results, kit, None)).reasons)
    assert "The policy has no rule for harassment, so that nothing is flagged for it." in reasons
    assert "1 × Malformed: Invalid JSON" in reasons
