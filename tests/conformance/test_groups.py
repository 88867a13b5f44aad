from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.conformance.client import TIMEOUT_S, AdminClient, Client, Member, Record
from tests.conformance.scene import Join, MakeTopic, until


def _settled(members: list[Member], partitions: int) -> bool:
    """Whether the members share all partitions and none of them twice."""
    found = [each.assigned() for each in members]
    return all(found) and sorted(p for each in found for p in each) == list(range(partitions))


def test_two_members_share_the_partitions_and_one_takes_all_when_the_other_leaves(
    client: Client, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(partitions=4), unique("group")
    first = join(client, group, topic)
    until(lambda: first.assigned() == {0, 1, 2, 3})
    second = join(client, group, topic)
    until(lambda: _settled([first, second], 4))
    second.close()
    until(lambda: first.assigned() == {0, 1, 2, 3})


def test_members_with_different_clients_share_a_group(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(partitions=4), unique("group")
    members = [join(client, group, topic), join(admin, group, topic)]
    until(lambda: _settled(members, 4))


def test_every_record_reaches_one_member_of_two(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(partitions=2), unique("group")
    members = [join(client, group, topic), join(client, group, topic)]
    until(lambda: _settled(members, 2))
    admin.produce(topic, [Record(value=str(n).encode(), partition=n % 2) for n in range(20)])
    values = [each.value for member in members for each in member.poll(10)]
    assert sorted(values, key=lambda value: int(value or b"-1")) == [str(n).encode() for n in range(20)]


def test_a_static_member_that_comes_back_keeps_its_partitions_without_a_rebalance(
    client: Client, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(partitions=4), unique("group")
    stays = join(client, group, topic, instance="stays", session_ms=30_000)
    comes_back = join(client, group, topic, instance="comes-back", session_ms=30_000)
    until(lambda: _settled([stays, comes_back], 4))
    owned, kept = comes_back.assigned(), stays.assigned()
    comes_back.close()
    assert admin.group_state(group) == ("Stable", 2)
    assert stays.assigned() == kept
    again = join(client, group, topic, instance="comes-back", session_ms=30_000)
    until(lambda: again.assigned() == owned)
    assert stays.assigned() == kept
    assert admin.group_state(group) == ("Stable", 2)


def test_a_killed_members_partitions_go_to_the_other_when_its_session_ends(
    admin_client: AdminClient, broker: str, admin: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(partitions=2), unique("group")
    lives = join(admin_client, group, topic)
    until(lambda: lives.assigned() == {0, 1})
    process = subprocess.Popen([sys.executable, "-m", "tests.conformance.lone_member", admin_client.name, broker, group, topic, "1500"])
    try:
        until(lambda: len(lives.assigned()) == 1 and admin.group_state(group) == ("Stable", 2))
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
    begun_s = time.monotonic()
    until(lambda: lives.assigned() == {0, 1})
    assert 0.5 < time.monotonic() - begun_s < 2 + TIMEOUT_S / 2
    assert admin.group_state(group) == ("Stable", 1)


def test_groups_are_listed_and_described(
    admin_client: AdminClient, make_topic: MakeTopic, unique: Callable[[str], str], join: Join
) -> None:
    topic, group = make_topic(), unique("group")
    admin_client.produce(topic, [Record(value=b"x")])
    assert group not in admin_client.groups()
    member = join(admin_client, group, topic)
    assert len(member.poll(1)) == 1
    assert group in admin_client.groups()
    assert admin_client.group_state(group) == ("Stable", 1)
    member.commit()
    member.close()
    until(lambda: admin_client.group_state(group) == ("Empty", 0))


def test_a_group_that_nobody_knows_is_described_as_dead(admin_client: AdminClient, unique: Callable[[str], str], broker: str) -> None:
    if admin_client.name == "kafka-python":
        pytest.skip("asks for a later version than the others: see test_protocol.py")
    assert admin_client.group_state(unique("nobody")) == ("Dead", 0)
