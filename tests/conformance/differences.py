"""The known differences between the embedded broker and Apache Kafka, read from the table that people read."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs" / "brokers.md"
HEADING = "## Where the embedded broker differs"


def differences() -> dict[str, str]:
    """Each difference by name, with what the embedded broker does."""
    section = PAGE.read_text().split(HEADING, 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `([a-z0-9-]+)` \| ([^|]+?) \|", section, flags=re.MULTILINE))
