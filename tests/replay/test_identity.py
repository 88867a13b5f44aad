from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.fraud import FraudAgent
from agents.moderation import ModerationAgent
from schemas.codec import RawRecord
from schemas.flag import Flag
from stream.replay.judge import Histories
from stream.replay.part import Job, Worker
from stream.replay.results import open_results

WORDS = ["you", "are", "a", "fool", "buy", "cheap", "pills", "now", "friend", "thanks", "choke", "offer", "idiot"]
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
amounts = st.integers(0, 60_000)
batchings = st.lists(st.integers(1, 9), min_size=1, max_size=30)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def live_flags(kit: Any, judge: Any, records: list[RawRecord], sizes: list[int]) -> list[Flag]:
    """What a worker publishes that takes `records` in batches of `sizes`."""
    state = Histories()
    agent, _ = kit.replace(judge, mode="live").agent(state)
    assert isinstance(agent, FraudAgent | ModerationAgent)
    flags: list[Flag] = []
    place = number = 0
    while place < len(records):
        size = sizes[number % len(sizes)]
        outcome = agent.handle(records[place : place + size], at=kit.START.replace(year=2027))
        state.apply(outcome.state)
        flags.extend(outcome.flags)
        place, number = place + size, number + 1
    return flags


@quick
@given(written=st.lists(texts, max_size=60), sizes=batchings)
def test_replay_of_messages_gives_the_flags_of_the_live_run(
    written: list[str], sizes: list[int], kit: Any, fresh: Callable[[], Path]
) -> None:
    judge = kit.TinyJudge(kind="message", policy=kit.policy(harassment=0.6, spam=0.7))
    records = [kit.record(kit.message(number, text), offset=number) for number, text in enumerate(written)]
    live = live_flags(kit, judge, records, sizes)
    results = kit.run_all(kit.ListSource({0: records}), judge, fresh())
    results.write_flags(results.folder / "all.jsonl")
    replayed = kit.flags_of(results.folder / "all.jsonl")
    assert [kit.essence(flag) for flag in replayed] == [kit.essence(flag) for flag in live]
    assert {flag.mode for flag in replayed} <= {"replay"}
    assert results.tally.dead_letters == sum("choke" in text for text in written)


@quick
@given(spent=st.lists(st.tuples(amounts, st.integers(0, 3)), max_size=80), sizes=batchings)
def test_replay_of_transactions_rebuilds_the_histories_of_the_live_run(
    spent: list[tuple[int, int]], sizes: list[int], kit: Any, fresh: Callable[[], Path]
) -> None:
    judge = kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5))
    by_partition: dict[int, list[RawRecord]] = {0: [], 1: []}
    for number, (amount, card) in enumerate(spent):
        held = by_partition[card % 2]
        held.append(kit.record(kit.transaction(number, amount, card=card), partition=card % 2, offset=len(held), topic="transactions"))
    live = [flag for records in by_partition.values() for flag in live_flags(kit, judge, records, sizes)]
    results = kit.run_all(kit.ListSource(by_partition), judge, fresh())
    results.write_flags(results.folder / "all.jsonl")
    assert [kit.essence(flag) for flag in kit.flags_of(results.folder / "all.jsonl")] == [kit.essence(flag) for flag in live]


def mixed(kit: Any, count: int) -> list[RawRecord]:
    """Transactions of five cards, with some that cannot be read."""
    records = []
    for number in range(count):
        event: Any = b"{" if number % 17 == 5 else kit.transaction(number, (number * 7919) % 50_000, card=number % 5)
        records.append(kit.record(event, offset=number, topic="transactions"))
    return records


def test_replaying_twice_gives_the_same_bytes(kit: Any, fresh: Callable[[], Path]) -> None:
    judge = kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5))
    source = kit.ListSource({0: mixed(kit, 700), 3: mixed(kit, 50)})
    first, second = (kit.run_all(source, judge, fresh()) for _ in range(2))
    for name in ("part-00000.rows", "part-00000.flags.jsonl", "part-00003.flags.jsonl"):
        content = (first.folder / name).read_bytes()
        assert content
        assert content == (second.folder / name).read_bytes()


def test_a_replay_that_was_stopped_goes_on_to_the_same_result(kit: Any, fresh: Callable[[], Path]) -> None:
    judge = kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5))
    source = kit.ListSource({0: mixed(kit, 3_000)})
    whole = kit.run_all(source, judge, fresh())
    folder = fresh()
    folder.mkdir()
    part = source.parts[0]
    job = Job(source=source, kind="transaction", judge=judge, against=None, folder=folder, at=kit.START)
    seen: list[int] = []
    assert not Worker(job).replay(part, progress=seen.append, stopped=lambda: sum(seen) > 1_000)
    # A process that was killed leaves more behind than its checkpoint says.
    with (folder / "part-00000.rows").open("ab") as rows:
        rows.write(b"torn")
    with (folder / "part-00000.flags.jsonl").open("ab") as flags:
        flags.write(b'{"torn')
    moved: list[int] = []
    assert Worker(job).replay(part, progress=moved.append, stopped=lambda: False)
    assert moved[0] == sum(seen)
    assert sum(moved) == 3_000
    for name in ("part-00000.rows", "part-00000.flags.jsonl"):
        assert (folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert not list(folder.glob("*.state"))


def test_warm_up_builds_histories_without_being_counted(kit: Any, fresh: Callable[[], Path]) -> None:
    judge = kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5))
    records = mixed(kit, 400)
    results = kit.run_all(kit.ListSource({0: records}, counted=300), judge, fresh())
    assert (results.tally.warmup, results.tally.events) == (300, 100)
    results.write_flags(results.folder / "all.jsonl")
    late = [flag for flag in live_flags(kit, judge, records, [40]) if flag.event.offset >= 300]
    assert [kit.essence(flag) for flag in kit.flags_of(results.folder / "all.jsonl")] == [kit.essence(flag) for flag in late]


def test_looking_at_a_run_that_goes_on_shows_its_checkpoint_and_leaves_it_alone(kit: Any, fresh: Callable[[], Path]) -> None:
    judge = kit.TinyJudge(kind="transaction", policy=kit.policy(fraud=0.5))
    results = kit.run_all(kit.ListSource({0: mixed(kit, 700)}), judge, fresh())
    paths = [results.folder / name for name in ("part-00000.rows", "part-00000.flags.jsonl")]
    for path in paths:
        with path.open("ab") as file:
            file.write(b"further on")
    before = [path.read_bytes() for path in paths]
    seen = open_results(results.folder)
    assert seen.count == results.count
    assert len(list(seen.flags())) == results.tally.flags
    assert [path.read_bytes() for path in paths] == before
