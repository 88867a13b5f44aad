"""The figures of a benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

MEANING: dict[str, str] = {
    # text
    "texts_per_s": "texts a second, tokenising included",
    "hf_texts_per_s": "the same architecture in a plain transformers pipeline, fp32, batch 1",
    "ratio_hf": "times as many",
    "ceiling_texts_per_s": "the bare session on ready-made batches without padding",
    "efficiency": "share of that ceiling",
    "flagged_share": "share of the texts that the policy in force flags",
    "explain_cost": "time of finding the spans of their reasons, as a share of scoring all texts",
    "ordinary_texts_per_s": "texts a second, of texts that are mostly harmless",
    "cascade_texts_per_s": "the same texts with the first model before the model",
    "ratio_cascade": "times as many (median of the rounds)",
    "cleared_share": "share of them that the first model clears",
    "tokens_mean": "mean tokens of a text",
    # fraud
    "tx_per_s": "transactions a second, state included",
    "decode_us": "µs: reading the payload",
    "features_us": "µs: features",
    "session_us": "µs: the model",
    "terminal_us": "µs: all at the terminal, without the model",
    "state_us": "µs: the card's past from bytes, moved on, back to bytes",
    "other_us": "µs: all else, flags included",
    "total_us": "µs of CPU: the whole",
    "history_bytes": "bytes of a card's past",
    # stream
    "events_per_s": "events a second from topic to flags, one core",
    "cpu_us_per_event": "CPU of the worker in µs an event",
    "raw_aiokafka_events_per_s": "aiokafka copying each record with a send of its own",
    "ratio_raw": "times as many (median of the rounds)",
    "stock_faust_events_per_s": "stock Faust copying each record",
    "ratio_stock": "times as many (median of the rounds)",
    "raw_aiokafka_cpu_us_per_event": "CPU of aiokafka in µs an event",
    "stock_faust_cpu_us_per_event": "CPU of stock Faust in µs an event",
    "bare_events_per_s": "the same agent without a stream",
    "efficiency_stream": "share of that",
    "duplicates": "flags that came again",
    "missing": "flags that never came (of `act`: neither delivered nor a dead letter)",
    "unexpected": "flags that nothing caused",
    "rss_mb": "most memory of the worker in MB",
    "backlog": "records that waited when it started",
    "judged": "how many of them it judged",
    "short_backlog": "records that waited for the worker it is compared with",
    "short_rss_mb": "most memory of that one in MB",
    # latency
    "p50_ms": "half of the flags arrived within, since their event was due",
    "p95_ms": "19 of 20",
    "p99_ms": "99 of 100",
    "max_ms": "all",
    "rate": "events a second offered, whether or not answers came",
    "offered": "events sent",
    "answered": "events whose flag arrived",
    "late_p99_ms": "99 of 100 events were sent within, since they were due",
    "append_p50_ms": "half of the flags, since the send",
    "append_p99_ms": "99 of 100, since the send",
    # subscribe
    "flags_per_s": "flags a second, read, checked and typed, in an asyncio loop on one core",
    "cpu_us_per_flag": "CPU in µs a flag",
    "raw_aiokafka_flags_per_s": "aiokafka's own loop over the same bytes, nothing decoded",
    "raw_aiokafka_cpu_us_per_flag": "CPU of that in µs a flag",
    "ratio_raw_flags": "times as many (median of the rounds)",
    "ratio_raw_cpu": "its CPU over ours (median of the rounds)",
    # act
    "delay_ms": "what an endpoint takes to answer",
    "well_flags_per_s": "flags a second to the endpoint that is well, beside one that fails three times in ten and one that hangs",
    "alone_flags_per_s": "flags a second to the same endpoint alone",
    "ratio_alone": "times as many (median of the rounds)",
    "twice": "flags acted on twice by an endpoint that honours the key, or accounted for twice",
    "out_of_order": "flags acted on after a later one of their entity",
    # scale
    "cores": "cores that the run could use",
    "efficiency_cpu": "CPU of an event with one worker over that with two",
    # state
    "writes_per_s": "values a second: changelog acknowledged, stored, input acknowledged",
    "write_cpu_us": "CPU of the worker in µs a value",
    "restore_records_per_s": "changelog records a second on a start without local state",
    "bytes_per_key": "bytes on disk for each key",
    "value_bytes": "mean bytes of a value",
}


def render(figures: Mapping[str, Any]) -> RenderableType:
    """`figures` with what each means; lists of figures as tables of their own below."""
    single = {name: value for name, value in figures.items() if not isinstance(value, list)}
    return Group(_meanings(single), *(_rows(value) for value in figures.values() if isinstance(value, list) and value))


def _meanings(figures: Mapping[str, Any]) -> Table:
    table = Table("figure", "value", "meaning", box=None, header_style="bold")
    table.columns[1].justify = "right"
    for name, value in figures.items():
        table.add_row(name, _text(value), MEANING.get(name, ""))
    return table


def _rows(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def _text(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
