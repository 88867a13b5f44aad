"""A bundle made from another one: the same files but for the graph and the card."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from models.bundle import Bundle, file_sha256
from models.card import Card
from models.tuning.errors import TuningError


def write(card: Card, origin: Bundle, graph: bytes, out: Path) -> Bundle:
    """The bundle of `card` with `graph` and the other files that it names, which are those of `origin`, in the new folder `out`: whole, or not there at all. Raises
    `TuningError` when it cannot be written."""
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        for name in card.files:
            if name != "model.onnx":
                shutil.copyfile(origin.file(name), partial / name)
        (partial / "model.onnx").write_bytes(graph)
        files = {name: file_sha256(partial / name) for name in card.files}
        (partial / "card.json").write_text(card.model_copy(update={"files": files}).model_dump_json(indent=1) + "\n")
        Bundle.open(partial)
        partial.rename(out)
    except OSError as error:
        raise TuningError(f"{out}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Bundle.open(out)
