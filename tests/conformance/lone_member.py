"""`python -m tests.conformance.lone_member CLIENT BROKER GROUP TOPIC SESSION_MS`: a group member to be killed."""

from __future__ import annotations

import sys
import time
from importlib import import_module

from tests.conformance.client import Client

MADE_BY = {
    "aiokafka": ("aiokafka_client", "Aiokafka"),
    "kafka-python": ("kafka_python", "KafkaPython"),
    "confluent-kafka": ("confluent", "Confluent"),
}
"""Module and class; only the one that is asked for is imported, as the test waits for it."""


def main() -> None:
    """Join and stay a member until the process ends."""
    name, broker, group, topic, session_ms = sys.argv[1:]
    module, made = MADE_BY[name]
    client: Client = getattr(import_module(f"tests.conformance.clients.{module}"), made)(broker)
    member = client.join(group, topic, session_ms=int(session_ms))
    while True:
        member.assigned()
        time.sleep(0.05)


if __name__ == "__main__":
    main()
