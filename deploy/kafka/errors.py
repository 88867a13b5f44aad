"""What starting Apache Kafka can fail with.

KafkaError
├── KafkaMissingError   Java, Maven or the jars are not to be had here; tests skip by its text
└── KafkaStartError     the node does not come up; the text ends with the last lines of its log
"""

from __future__ import annotations


class KafkaError(Exception):
    """The root of what this package raises."""


class KafkaMissingError(KafkaError):
    """Something that Kafka needs is not on this machine and cannot be fetched."""


class KafkaStartError(KafkaError):
    """The node was started and did not become ready."""
