from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.replay.compare import compare
from stream.replay.sides import by_policy


def test_accounts_are_new_for_a_week_after_they_were_first_seen(kit: Any, fresh: Callable[[], Path]) -> None:
    # A transaction every 13 minutes: card 1 from the first on, card 2 only from the tenth day on.
    events = [kit.transaction(number, 50_000, card=2 if number >= 1_108 and number % 2 else 1) for number in range(1_400)]
    source = kit.ListSource({0: [kit.record(event, offset=place) for place, event in enumerate(events)]})
    results = kit.run_all(source, kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5)), fresh())
    first_week = sum(number * 13 < 7 * 1_440 for number in range(1_400))
    second_card = sum(number >= 1_108 and number % 2 for number in range(1_400))
    labels = results.manifest.labels
    groups = compare(results, by_policy(kit.policy(), labels), by_policy(kit.policy(fraud=0.5), labels)).groups["account"]
    assert {name: row[0] for name, row in groups.items()} == {
        "new within 7 days": first_week + second_card, "known for a week": 1_400 - first_week - second_card,
    }
