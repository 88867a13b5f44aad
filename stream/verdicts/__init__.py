"""Verdicts: what turned out to be true, said of flags, joined to them, and written out to learn from."""

from __future__ import annotations

from stream.verdicts.reviewer import Reviewer
from stream.verdicts.say import Subject

__all__ = ["Reviewer", "Subject"]
