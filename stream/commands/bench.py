"""The benchmarks, each with its peers in the same run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from stream.commands.options import Broker, Json, one_of, say, settings_for

bench_app = typer.Typer(no_args_is_help=True, help="Measure speed, beside peers in the same run; ratios are what counts.")


def _show(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(figures)
        return
    from rich.console import Console

    from stream.bench.table import render

    Console().print(render(figures))


@bench_app.command("text")
def text(
    texts: Annotated[int, typer.Option(help="How many texts.", min=8)] = 1_000,
    rounds: Annotated[int, typer.Option(help="Turns that each contender takes.", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """Texts a second on one thread, beside a plain pipeline of the same architecture and the bare session."""
    from stream.bench.text import run_text

    data = os.environ.get("FLAGSTREAM_DATA")
    _show(run_text(texts=texts, rounds=rounds, data_dir=None if data is None else Path(data), settings=settings_for()), as_json=as_json)


@bench_app.command("fraud")
def fraud(
    transactions: Annotated[int, typer.Option(help="How many transactions.", min=100)] = 20_000,
    rounds: Annotated[int, typer.Option(help="Repetitions.", min=1)] = 3,
    as_json: Json = False,
) -> None:
    """Transactions a second in one process, features, model and state included."""
    from stream.bench.fraud import run_fraud

    _show(run_fraud(transactions=transactions, rounds=rounds, settings=settings_for()), as_json=as_json)


@bench_app.command("stream")
def stream(
    kind: Annotated[str, typer.Option(help="message, transaction or passthrough.")] = "passthrough",
    events: Annotated[int | None, typer.Option(help="How many records.", min=100, show_default=False)] = None,
    rounds: Annotated[int, typer.Option(help="Turns that each contender takes.", min=1)] = 3,
    backlog: Annotated[
        int | None, typer.Option(help="Memory of a worker before so many records, in place of all else.", min=100, show_default=False)
    ] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Drain a backlog from a broker, beside a raw client and stock Faust."""
    from stream.bench.backlog import run_backlog
    from stream.bench.job import KINDS
    from stream.bench.stream import run_stream

    chosen = one_of("--kind", kind, KINDS)
    if backlog is not None:
        _show(run_backlog(chosen, backlog=backlog, broker=settings_for(broker=broker).broker), as_json=as_json)
        return
    _show(run_stream(chosen, events=events, rounds=rounds, broker=settings_for(broker=broker).broker), as_json=as_json)


@bench_app.command("latency")
def latency(
    kind: Annotated[str, typer.Option(help="message, transaction or passthrough.")] = "message",
    rate: Annotated[float | None, typer.Option(help="Events a second; else half of what is drained.", min=0.1, show_default=False)] = None,
    seconds: Annotated[float, typer.Option(help="For how long.", min=1)] = 20.0,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Time from append of an event to arrival of its flag, in an open loop."""
    from stream.bench.job import KINDS
    from stream.bench.latency import run_latency

    chosen = one_of("--kind", kind, KINDS)
    _show(run_latency(chosen, rate=rate, seconds=seconds, broker=settings_for(broker=broker).broker), as_json=as_json)


@bench_app.command("state")
def state(
    writes: Annotated[int, typer.Option(help="How many values.", min=100)] = 50_000,
    keys: Annotated[int, typer.Option(help="Of how many cards.", min=1)] = 5_000,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Writes a second with changelog, restored records a second, bytes a key."""
    from stream.bench.state import run_state

    _show(run_state(writes=writes, keys=keys, broker=settings_for(broker=broker).broker), as_json=as_json)


@bench_app.command("scale")
def scale(
    kind: Annotated[str, typer.Option(help="message, transaction or passthrough.")] = "message",
    events: Annotated[int | None, typer.Option(help="How many records.", min=100, show_default=False)] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """One worker and two on the same stream, and what 10,000, 100,000 and a million events a second need."""
    from stream.bench.job import KINDS
    from stream.bench.scale import run_scale

    chosen = one_of("--kind", kind, KINDS)
    _show(run_scale(chosen, events=events, broker=settings_for(broker=broker).broker), as_json=as_json)


@bench_app.command("subscribe")
def subscribe(
    flags: Annotated[int, typer.Option(help="How many flags.", min=100)] = 100_000,
    rounds: Annotated[int, typer.Option(help="Turns that each contender takes.", min=1)] = 3,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Flags a second in an asyncio loop over `subscribe`, beside aiokafka's own loop over the same bytes."""
    from stream.bench.subscribe import run_subscribe

    _show(run_subscribe(flags=flags, rounds=rounds, broker=settings_for(broker=broker).broker), as_json=as_json)


@bench_app.command("act")
def act(
    flags: Annotated[int, typer.Option(help="How many flags.", min=1)] = 2_000,
    rounds: Annotated[int, typer.Option(help="Turns that each contender takes.", min=1)] = 1,
    delay_ms: Annotated[float, typer.Option(help="What an endpoint takes to answer.", min=0)] = 50.0,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Flags through `act` to three endpoints of which one fails and one hangs, each accounted for, beside the good one alone."""
    from stream.bench.act import run_act

    _show(run_act(flags=flags, rounds=rounds, delay_s=delay_ms / 1000, broker=settings_for(broker=broker).broker), as_json=as_json)
