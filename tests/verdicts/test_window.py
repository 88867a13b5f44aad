"""Live precision: flags joined with verdicts, whatever the order, in bounded memory."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.flag import Flag
from schemas.verdict import Verdict
from stream.verdicts.window import VERDICTS_AN_EVENT, Window
from tests.flags import NOW, make_flag


def verdict(number: int, outcome: str = "confirmed", label: str = "spam", *, minute: int = 0, own: str = "", **more: Any) -> Verdict:
    own = own or f"{number}-{outcome}-{label}-{minute}"
    at = NOW + timedelta(minutes=minute)
    return Verdict.model_validate(
        {"id": own, "event_id": f"event-{number}", "label": label, "outcome": outcome, "source": "s", "occurred_at": at, **more}
    )


def window_of(*records: Flag | Verdict, size: int = 100) -> Window:
    window = Window(size)
    for one in records:
        if isinstance(one, Flag):
            window.flag(one)
        else:
            window.verdict(one)
    return window


def test_precision_is_the_share_of_verdicts_that_confirm_by_label() -> None:
    window = window_of(
        make_flag(1), make_flag(2), make_flag(3, "spam", "scam"), make_flag(4, "fraud"), make_flag(5),
        verdict(1), verdict(2, "overturned"), verdict(3), verdict(3, "overturned", "scam"), verdict(4, "legitimate", "fraud"),
    )  # fmt: skip
    assert window.precision() == {"spam": (2 / 3, 3), "scam": (0.0, 1), "fraud": (0.0, 1)}


def test_the_latest_verdict_counts_however_late_it_comes_in() -> None:
    late = (make_flag(1), verdict(1, "overturned", minute=5), verdict(1, "confirmed", minute=1))
    assert window_of(*late).precision() == {"spam": (0.0, 1)}


def test_a_verdict_that_another_supersedes_counts_no_more_whatever_its_label() -> None:
    window = window_of(make_flag(1), verdict(1, own="a"), verdict(1, "overturned", own="b", minute=1), verdict(1, label="scam", supersedes="b"))
    assert window.precision() == {"spam": (1.0, 1)}


def test_a_verdict_may_come_before_its_flag() -> None:
    window = window_of(verdict(1), verdict(2))
    assert (window.precision(), window.early) == ({}, 2)
    window.flag(make_flag(1))
    assert (window.precision(), window.early) == ({"spam": (1.0, 1)}, 1)


def test_repetitions_change_nothing() -> None:
    window = window_of(make_flag(1), verdict(1), make_flag(1), verdict(1), verdict(1))
    assert (len(window), window.precision()) == (1, {"spam": (1.0, 1)})


def test_a_label_that_was_not_flagged_is_no_matter_of_precision() -> None:
    assert window_of(make_flag(1), verdict(1, label="hate")).precision() == {}


def test_flags_of_a_replay_or_a_shadow_do_not_count() -> None:
    assert len(window_of(make_flag(1, mode="replay"), make_flag(2, mode="shadow"), make_flag(3, mode="canary"))) == 0


def test_a_new_flag_on_an_event_takes_the_old_ones_place() -> None:
    window = window_of(make_flag(1, "spam"), verdict(1), make_flag(1, "scam", id="other"), verdict(1, label="scam"))
    assert window.precision() == {"scam": (1.0, 1)}
    assert window.subject("flag-1") is None
    found = window.subject("other")
    assert found is not None
    assert (found.event_id, found.labels) == ("event-1", ("scam",))


def test_flags_that_leave_the_window_take_their_verdicts_along() -> None:
    window = window_of(*(one for number in range(10) for one in (make_flag(number), verdict(number, "overturned"))), size=3)
    assert (len(window), window.precision()) == (3, {"spam": (0.0, 3)})
    assert window.subject("flag-6") is None
    assert window.subject("flag-9") is not None


def test_memory_is_bounded_whatever_comes() -> None:
    window = window_of(*(verdict(number) for number in range(1_000)), size=50)
    assert window.early <= 6
    for minute in range(100):
        window.verdict(verdict(7, minute=minute))
    window.flag(make_flag(7))
    assert len(window._events["event-7"].said or {}) == VERDICTS_AN_EVENT


RECORDS = st.lists(
    st.one_of(
        st.builds(make_flag, st.integers(0, 4), st.sampled_from(["spam", "scam"])),
        st.builds(verdict, st.integers(0, 4), st.sampled_from(["confirmed", "overturned"]), st.sampled_from(["spam", "scam"]),
                  minute=st.integers(0, 3)),
    ),
    max_size=30,
)  # fmt: skip


@given(RECORDS, st.integers(1, 4))
def test_the_counts_are_those_of_what_is_held(records: list[Flag | Verdict], size: int) -> None:
    window = window_of(*records, size=size)
    held = Counter((label, said) for event in window._events.values() for label, said in event.truth().items())
    assert +window.counts == held
    assert len(window) <= size
    assert set(window._by_flag) == {event.flag_id for event in window._events.values()}


@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_of_flags_and_verdicts_does_not_matter(records: list[Flag | Verdict], chance: random.Random) -> None:
    flags = list({one.event.id: one for one in records if isinstance(one, Flag)}.values())
    verdicts = [one for one in records if isinstance(one, Verdict)]
    # Verdicts on one event and label at one minute would leave open which is the later.
    verdicts = list({(one.event_id, one.label, one.occurred_at): one for one in verdicts}.values())
    shuffled: list[Flag | Verdict] = [*flags, *verdicts]
    chance.shuffle(shuffled)
    assert window_of(*shuffled).precision() == window_of(*flags, *verdicts).precision()
