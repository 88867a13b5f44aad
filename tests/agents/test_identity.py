"""Flag ids: equal for the same judgement of the same event, and for nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.identity import flag_id
from schemas.flag import Provenance

text = st.text(max_size=8)
facts = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["message", "transaction"]),
        "tenant": st.none() | text.filter(bool),
        "entity": text,
        "event_id": text,
        "occurred_at": st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants it naive)
        "labels": st.frozensets(st.sampled_from(["hate", "spam", "threat"])),
        "provenance": st.builds(Provenance, model=st.sampled_from("ab"), policy=st.sampled_from("ab")),
    }
)


@given(facts, facts)
def test_ids_are_equal_exactly_when_all_facts_are(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (flag_id(**one) == flag_id(**other)) == (one == other)


@given(facts)
def test_the_order_of_labels_does_not_matter(one: dict[str, Any]) -> None:
    assert flag_id(**{**one, "labels": sorted(one["labels"])}) == flag_id(**{**one, "labels": sorted(one["labels"], reverse=True)})
