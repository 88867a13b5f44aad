"""The table for people."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from stream.bench.table import render


def test_every_figure_has_a_row_and_what_was_not_measured_a_dash() -> None:
    out = StringIO()
    Console(file=out, width=120).print(render({"events_per_s": 12345.6, "missing": 0, "hf_texts_per_s": None, "kind": "message"}))
    text = out.getvalue()
    assert "12,346" in text
    assert [line.split()[1] for line in text.splitlines() if line.strip().startswith(("missing", "hf_texts"))] == ["0", "-"]
    assert "message" in text
