from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stream.errors import UsageError
from stream.replay.advice import advise
from stream.replay.compare import compare
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


def summarise(results: Results, kit: Any, said: Verdicts | None, *, before: float = 0.95, after: float = 0.7) -> Summary:
    labels, policy = results.manifest.labels, kit.policy(spam=after)
    diff = compare(results, by_policy(kit.policy(spam=before), labels), by_policy(policy, labels), verdicts=said)
    return Summary(
        results=results, policy=policy, seconds=2.0, returned=returns(results, policy, said, Prices()), diff=diff,
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
    write_report(tmp_path / "out.html", summarise(results, kit, verdicts(kit)), command="flagstream replay --topic messages <x>")
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
    assert "Partial: this replay was stopped" in render(part, command="")
    assert "Partial: this replay was stopped" not in render(whole, command="")
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
        write_report(tmp_path / "no" / "out.html", summarise(results, kit, None), command="")
