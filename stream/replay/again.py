"""The command that gives a replay again: with the settings that came from elsewhere, and with times that do not move."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from stream.errors import UsageError
from stream.replay.window import span_ms
from stream.settings import Settings

SETTINGS = ("broker", "prefix", "policy", "models", "cascade", "explain")
"""What a replay's result depends on. None of them is a secret."""
TIMES = ("--since", "--until")


def again(words: Sequence[str], settings: Settings, *, now: datetime) -> str:
    """`words` of a command line as one that gives the same at another time, in another shell: `now` is what its times ago are reckoned from.
    The range of a run that workers judge is kept on the broker, and the run is found again by the words that began it: they stay."""
    given = {word.partition("=")[0] for word in words}
    times = () if "--workers" in given else TIMES
    fixed: list[str] = []
    for word in words:
        option, equals, value = word.partition("=")
        if equals and option in times:
            fixed.append(f"{option}={_fixed(value, now)}")
        elif fixed and fixed[-1] in times:
            fixed.append(_fixed(word, now))
        elif word != "--resume":
            fixed.append(word)
    plain = Settings()
    environment = [
        f"FLAGSTREAM_{name.upper()}={shlex.quote(str(getattr(settings, name)))}"
        for name in SETTINGS if f"--{name}" not in given and getattr(settings, name) != getattr(plain, name)
    ]
    return " ".join((*environment, "flagstream", shlex.join(fixed)))


def _fixed(text: str, now: datetime) -> str:
    try:
        at = now.astimezone(UTC) - timedelta(milliseconds=span_ms(text, name=""))
    except (UsageError, OverflowError):
        # No time ago, or one before all times.
        return text
    return text if text.strip() == "0" else at.isoformat(timespec="milliseconds")
