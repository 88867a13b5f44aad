from agents.protocol import StateKey
from agents.recent import Recent


def place(number: int) -> StateKey:
    return StateKey(0, b"%d" % number)


def test_a_value_counts_only_for_the_bytes_that_it_was_made_of() -> None:
    recent: Recent[str] = Recent()
    recent.put(place(1), b"old", "from old")
    assert recent.get(place(1), b"old") == "from old"
    assert recent.get(place(1), b"new") is None
    assert recent.get(place(2), b"old") is None
    recent.put(place(1), b"new", "from new")
    assert recent.get(place(1), b"new") == "from new"
    assert recent.get(place(1), b"old") is None


def test_only_so_many_are_held_and_the_newest_are_among_them() -> None:
    recent: Recent[int] = Recent(held=10)
    for number in range(1_000):
        recent.put(place(number), b"x", number)
    held = [number for number in range(1_000) if recent.get(place(number), b"x") is not None]
    assert len(held) <= 20
    assert held[-10:] == list(range(990, 1_000))
