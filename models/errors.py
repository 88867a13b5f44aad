"""What the models room raises.

ModelError
├── BundleError       a bundle on disk is missing, damaged or does not fit this program; raised at load
└── HistoryError      bytes that are not a history of a known version
"""

from __future__ import annotations


class ModelError(Exception):
    """The root; the message is one line for people."""


class BundleError(ModelError):
    """A bundle cannot be used; raised before the first record, never at record one million."""


class HistoryError(ModelError):
    """Stored bytes are no history that this version can read."""
