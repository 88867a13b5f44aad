"""`python -m tests.conformance.lone_member CLIENT BROKER GROUP TOPIC SESSION_MS`: a group member to be killed."""

from __future__ import annotations

import sys
import time

from tests.conformance.client import Client
from tests.conformance.clients.aiokafka_client import Aiokafka
from tests.conformance.clients.confluent import Confluent
from tests.conformance.clients.kafka_python import KafkaPython


def main() -> None:
    """Join and stay a member until the process ends."""
    name, broker, group, topic, session_ms = sys.argv[1:]
    made: dict[str, type[Client]] = {each.name: each for each in (Aiokafka, Confluent, KafkaPython)}
    member = made[name](broker).join(group, topic, session_ms=int(session_ms))
    while True:
        member.assigned()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
