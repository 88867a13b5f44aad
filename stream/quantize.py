"""`flagstream quantize`: a user's own classifier as a bundle in int8. Needs the extra `train`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from models.errors import ModelError
from models.train.checkpoint import Loss, quantize
from stream.errors import StreamError, UsageError
from stream.rows import read

MAX_TEXTS = 20_000


def quantize_text(checkpoint: Path, texts: Path, out: Path, *, maps: Sequence[str], licence: str) -> tuple[Loss, ...]:
    """Write the bundle of the classifier in the folder `checkpoint` to `out`; what int8 costs each label. `maps` are our labels and its
    outputs, as `harassment=toxic`; of the rows in `texts` the first `MAX_TEXTS` are read. Raises `StreamError`."""
    mapping: dict[str, str] = {}
    for pair in maps:
        label, separator, name = pair.partition("=")
        if not separator or not label or not name or label in mapping:
            raise UsageError(f"--map {pair!r}: say our label and the checkpoint's output once, as harassment=toxic")
        mapping[label] = name
    if not checkpoint.is_dir():
        raise UsageError(f"{checkpoint}: no folder there")
    found = [row.fields["text"] for row in islice(read(texts), MAX_TEXTS) if row.fields and isinstance(row.fields.get("text"), str)]
    try:
        return quantize(checkpoint, found, out, mapping=mapping, created=f"{datetime.now(UTC):%Y-%m-%d}", licence=licence)
    except (ModelError, OSError) as error:
        raise StreamError(str(error)) from error
