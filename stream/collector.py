"""How often Python looks for reference cycles: what a stream holds by the thousand are records, which have none."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""New containers before a collection, and collections before one that looks at older generations too."""


def spare() -> None:
    """Take what is loaded so far out of collections, and collect seldom. By default every 700 new containers start a
    collection, and a fetch of 4,000 records is walked through again and again: a third of a worker's time without a model."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
