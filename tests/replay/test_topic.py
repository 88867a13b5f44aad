from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from stream.embedded import running_broker
from stream.errors import BrokerError, UsageError
from stream.replay.drive import Progress
from stream.replay.policies import fit_policy
from stream.replay.published import GONE, read_published
from stream.replay.request import Request
from stream.replay.run import replay
from stream.replay.topic import open_topic, read_all
from stream.replay.window import Bound
from stream.settings import load

BUNDLE = Path(__file__).parents[2] / "models" / "artifacts" / "fraud"
POLICY = BUNDLE.parents[2] / "agents" / "default_policy.toml"
TOPIC = "transactions"
COUNT = 600


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[str]:
    """A broker whose topic `transactions` holds 600 records in 4 partitions, a minute of append time apart."""
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        admin = KafkaAdminClient(bootstrap_servers=running.address)
        kept = {"num_partitions": 4, "configs": {"retention.ms": "-1"}}
        admin.create_topics(dict.fromkeys((TOPIC, "odd", "short", "shrinking", "aged", "mixed"), kept))
        admin.close()
        producer = KafkaProducer(bootstrap_servers=running.address)
        for number in range(COUNT):
            card = number % 20
            amount = 90_000 if number % 50 == 49 else 1_000 + number
            at = kit.START + timedelta(minutes=number)
            event = kit.transaction(number, amount, card=card, occurred_at=at.isoformat())
            value, at_ms = json.dumps(event).encode(), int(at.timestamp() * 1000)
            producer.send(TOPIC, value, key=f"c{card}".encode(), partition=card % 4, timestamp_ms=at_ms)
        producer.send("odd", b"{}", partition=0)
        for _ in range(20):
            producer.send("shrinking", b"{}", partition=0)
        producer.flush()
        producer.close()
        yield running.address


def offsets(broker: str) -> dict[str, int]:
    consumer = KafkaConsumer(bootstrap_servers=broker)
    found = {
        f"{topic}/{number}": consumer.end_offsets([TopicPartition(topic, number)])[TopicPartition(topic, number)]
        for topic in consumer.topics() for number in consumer.partitions_for_topic(topic)
    }
    consumer.close()
    return found


def test_a_topic_is_read_whole_and_nothing_is_written_or_committed(broker: str, tmp_path: Path) -> None:
    before = offsets(broker)
    summary = replay(
        load({"broker": broker}, environ={}), Request(topic=TOPIC, folder=tmp_path / "run", processes=1, flags=tmp_path / "flags.jsonl")
    ).to_json()
    assert (summary["events"], summary["dead_letters"], summary["complete"]) == (COUNT, 0, True)
    assert summary["flags"] == len((tmp_path / "flags.jsonl").read_bytes().splitlines()) == sum(summary["decisions"].values())
    assert summary["by_label"] == {"fraud": summary["flags"]}
    assert summary["flags"] > 0
    assert offsets(broker) == before
    admin = KafkaAdminClient(bootstrap_servers=broker)
    assert list(admin.list_groups()) == []
    admin.close()


def test_processes_over_partitions_find_the_same(broker: str, tmp_path: Path) -> None:
    for processes in (1, 2):
        request = Request(topic=TOPIC, folder=tmp_path / f"{processes}", processes=processes, flags=tmp_path / f"{processes}.jsonl")
        assert replay(load({"broker": broker}, environ={}), request).to_json()["events"] == COUNT
    one, two = (
        [json.loads(line) | {"flagged_at": ""} for line in (tmp_path / f"{n}.jsonl").read_text().splitlines()] for n in (1, 2)
    )
    assert one == two


@pytest.mark.parametrize(
    ("since", "until", "events"),
    [
        ("2026-01-05T05:00Z", None, 300),
        ("2026-01-05T05:00", "2026-01-05T06:00Z", 60),
        ("100", "0:120,1:120", 20 + 20 + 50 + 50),
        (None, "2026-01-05", 0),
        ("2030-01-01", None, 0),
    ],
)
def test_since_and_until_bound_what_is_counted(broker: str, since: str | None, until: str | None, events: int, tmp_path: Path) -> None:
    request = Request(topic=TOPIC, since=since, until=until, folder=tmp_path / "run", processes=1)
    assert replay(load({"broker": broker}, environ={}), request).to_json()["events"] == events


def test_warm_up_reads_from_before_the_start(broker: str, tmp_path: Path) -> None:
    request = Request(topic=TOPIC, since="2026-01-05T05:00Z", warmup="1h", folder=tmp_path / "run", processes=1)
    summary = replay(load({"broker": broker}, environ={}), request).to_json()
    assert (summary["warmup"], summary["events"]) == (60, 300)


def test_offsets_that_retention_deleted_are_named(broker: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    producer = KafkaProducer(bootstrap_servers=broker)
    for _ in range(5):
        producer.send("short", b"{}", partition=0)
    producer.flush()
    producer.close()
    admin.delete_records({TopicPartition("short", 0): 3})
    admin.close()
    source = open_topic(load({"broker": broker}, environ={}), "short", since=Bound(offset=1))
    assert source.gaps == ("partition 0: offsets 1 to 2 are no longer kept by the broker",)
    assert [len(batch) for batch in source.batches(source.parts[0], size=10, begin=source.parts[0].start)] == [2]


def test_a_range_that_retention_deleted_is_named_by_its_times(broker: str, kit: Any) -> None:
    admin, producer = KafkaAdminClient(bootstrap_servers=broker), KafkaProducer(bootstrap_servers=broker)
    began_ms = int(kit.START.timestamp() * 1000)
    for number in range(6):
        producer.send("aged", b"{}", partition=0, timestamp_ms=began_ms + number * 60_000)
    producer.flush()
    producer.close()
    settings = load({"broker": broker}, environ={})
    whole: dict[str, Any] = {"since": Bound(at_ms=began_ms), "warmup_ms": 0}
    assert open_topic(settings, "aged", **whole).gaps == ()
    admin.delete_records({TopicPartition("aged", 0): 4})
    told = "partition 0: nothing from before 2026-01-05 00:04:00Z is kept by the broker any longer, and 2026-01-05 00:00:00Z was asked for"
    found = open_topic(settings, "aged", **whole)
    assert found.gaps == (told,)
    ever = open_topic(settings, "aged", since=Bound(at_ms=-(10**15)), warmup_ms=0)
    assert ever.gaps[0].endswith("and 1970-01-01 00:00:00Z was asked for")
    assert found.parts[0].records == 2
    assert open_topic(settings, "aged", since=Bound(at_ms=began_ms + 300_000), warmup_ms=0).gaps == ()
    gone = open_topic(settings, "aged", until=Bound(at_ms=began_ms + 120_000))
    assert gone.parts[0].records == 0
    assert len(gone.gaps) == 1
    admin.delete_records({TopicPartition("aged", 0): 6})
    admin.close()
    assert "nothing is kept by the broker any longer" in open_topic(settings, "aged", **whole).gaps[0]


def test_flags_that_are_not_there_are_told_before_anything_is_judged(broker: str, tmp_path: Path) -> None:
    asked = Request(topic=TOPIC, kind="transaction", against="flags", folder=tmp_path / "run", processes=1)
    with pytest.raises(UsageError, match=r"no topic 'other\.flags'"):
        replay(load({"broker": broker, "prefix": "other."}, environ={}), asked)
    assert not (tmp_path / "run").exists()


def test_flags_that_retention_deleted_are_named(broker: str, kit: Any) -> None:
    admin, producer = KafkaAdminClient(bootstrap_servers=broker), KafkaProducer(bootstrap_servers=broker)
    began_ms = int(kit.START.timestamp() * 1000)
    for number in range(4):
        producer.send("kept.flags", b"{}", partition=0, timestamp_ms=began_ms + number * 60_000)
    producer.flush()
    producer.close()
    settings = load({"broker": broker, "prefix": "kept."}, environ={})
    asked: dict[str, Any] = {"kind": "message", "topic": "messages"}
    assert read_published(settings, **asked, since_ms=began_ms)[1] == ()
    admin.delete_records({TopicPartition("kept.flags", 0): 2})
    assert read_published(settings, **asked, since_ms=began_ms)[1] == (GONE,)
    assert read_published(settings, **asked, since_ms=began_ms + 120_000)[1] == ()
    admin.delete_records({TopicPartition("kept.flags", 0): 4})
    admin.close()
    assert read_published(settings, **asked, since_ms=began_ms)[1] == (GONE,)


def test_an_empty_range_gives_an_answer_that_says_so_in_every_form(broker: str, tmp_path: Path) -> None:
    asked = Request(
        topic=TOPIC, since="2026-03-05T02:00Z", against=str(POLICY), report=tmp_path / "out.html",
        folder=tmp_path / "run", processes=1,
    )
    summary = replay(load({"broker": broker}, environ={}), asked)
    found = summary.to_json()
    assert (found["events"], found["flags"], found["complete"]) == (0, 0, True)
    json.dumps(found)
    assert "the range holds no events" in (tmp_path / "out.html").read_text()
    assert "nothing lies in the range. The topic's records, of 2026-01-05 00:00:00Z to 2026-01-" in found["gaps"][0]
    with pytest.raises(UsageError, match="holds no scored event"):
        fit_policy(load(environ={}), ["5 reviews a day"], run=tmp_path / "run")


def test_records_of_a_later_schema_version_are_dead_letters_beside_those_that_are_judged(broker: str, kit: Any, tmp_path: Path) -> None:
    producer = KafkaProducer(bootstrap_servers=broker)
    for number in range(12):
        later = {"version": 9} if number % 3 == 0 else {}
        producer.send("mixed", json.dumps(kit.transaction(number, 1_000, **later)).encode(), partition=0)
    producer.flush()
    producer.close()
    found = replay(load({"broker": broker}, environ={}), Request(topic="mixed", kind="transaction", folder=tmp_path / "run", processes=1)).to_json()
    assert (found["events"], found["dead_letters"]) == (12, 4)
    (fault,) = found["faults"]
    assert "version" in fault


def test_a_topic_that_is_not_there_is_wrong_use_and_lists_those_that_are(broker: str) -> None:
    with pytest.raises(UsageError, match=r"no topic 'mesages'.*transactions"):
        open_topic(load({"broker": broker}, environ={}), "mesages")


def test_a_broker_that_does_not_answer_is_said_in_one_line() -> None:
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        open_topic(load({"broker": "127.0.0.1:1"}, environ={}), "messages")


def test_a_topic_of_unknown_kind_asks_for_it(broker: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say --kind message or --kind transaction"):
        replay(load({"broker": broker}, environ={}), Request(topic="odd", folder=tmp_path / "run"))
    request = Request(topic="odd", kind="transaction", folder=tmp_path / "run", processes=1)
    assert replay(load({"broker": broker}, environ={}), request).to_json()["dead_letters"] == 1


def test_resuming_something_else_is_refused(broker: str, tmp_path: Path) -> None:
    request = Request(topic=TOPIC, folder=tmp_path / "run", processes=1)
    first = replay(load({"broker": broker}, environ={}), request).to_json()
    again = replay(load({"broker": broker}, environ={}), Request(topic=TOPIC, folder=tmp_path / "run", processes=1, resume=True)).to_json()
    assert {**again, "seconds": 0, "events_per_s": 0} == {**first, "seconds": 0, "events_per_s": 0}
    with pytest.raises(UsageError, match="another range, model or policy"):
        replay(load({"broker": broker}, environ={}), Request(topic=TOPIC, folder=tmp_path / "run", since="10", resume=True))
    with pytest.raises(UsageError, match="holds no replay"):
        replay(load({"broker": broker}, environ={}), Request(topic=TOPIC, folder=tmp_path / "none", resume=True))


def test_flags_go_to_a_topic_of_the_replay_and_never_to_a_live_one(broker: str, tmp_path: Path) -> None:
    settings = load({"broker": broker}, environ={})
    for live in ("flags", "messages", "replays", "flagstream-histories-changelog", "replay-\n"):
        with pytest.raises(UsageError, match="never to a live one"):
            replay(settings, Request(topic=TOPIC, to=live, folder=tmp_path / "run"))
    summary = replay(settings, Request(topic=TOPIC, to="replay-try", folder=tmp_path / "run", processes=1)).to_json()
    found = [json.loads(raw.value or b"") for batch in read_all(settings, "replay-try") for raw in batch]
    assert len(found) == summary["flags"] > 0
    assert {flag["mode"] for flag in found} == {"replay"}


def test_records_deleted_while_they_are_replayed_are_counted_as_absent(broker: str) -> None:
    source = open_topic(load({"broker": broker}, environ={}), "shrinking")
    batches = source.batches(source.parts[0], size=2, begin=0)
    assert [raw.at.offset for raw in next(batches)] == [0, 1]
    again = source.batches(source.parts[0], size=100, begin=2)
    admin = KafkaAdminClient(bootstrap_servers=broker)
    admin.delete_records({TopicPartition("shrinking", 0): 15})
    admin.close()
    assert [raw.at.offset for batch in again for raw in batch] == [15, 16, 17, 18, 19]


def test_a_stopped_replay_leaves_a_part_that_goes_on(broker: str, tmp_path: Path) -> None:
    settings = load({"broker": broker}, environ={})
    request = Request(topic=TOPIC, folder=tmp_path / "run", processes=1)

    def stop(passed: Progress) -> None:
        if passed.done:
            signal.raise_signal(signal.SIGINT)

    part = replay(settings, request, show=stop)
    assert part.to_json()["complete"] is False
    assert 0 < part.to_json()["events"] < COUNT
    whole = replay(settings, Request(topic=TOPIC, folder=tmp_path / "run", processes=1, resume=True)).to_json()
    assert (whole["events"], whole["complete"]) == (COUNT, True)
