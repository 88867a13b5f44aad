"""`bench act`: flags through the actions service to an endpoint that is well, one that fails and one that hangs, each flag accounted
for; beside it the endpoint that is well alone."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from schemas.dead_letter import DeadLetter
from stream import topics
from stream.bench.endpoints import Endpoint, Manner, serving_endpoints
from stream.bench.stage import Stage, stage
from stream.bench.subscribe import flag_events
from stream.errors import StreamError, UsageError
from stream.processes import running

SIGNED_WITH = "BENCH_SECRET"
"""The environment variable that holds it."""
CONCURRENCY = 8
"""Attempts at the same time to one endpoint, which is also the default of the service."""
ALONE: Mapping[str, Manner] = {"well": "well"}
BESIDE: Mapping[str, Manner] = {"well": "well", "failing": "failing", "hanging": "hanging"}
OPTIONS: Mapping[Manner, str] = {
    "well": "",
    # Few enough attempts that some flags are given up.
    "failing": "attempts = 5\nfirst_backoff_s = 0.1\n",
    "hanging": "timeout_s = 1.0\n",
}
AGE_SHARE = 0.5
"""Flags of the endpoint that hangs are given up in the middle of the others' work, of which this is the share."""
LEAST_AGE_S = 5.0
LOOK_S = 0.5
PATIENCE = 10.0
"""So many times as long as it should take, and a minute: then it is given up."""


def run_act(*, flags: int = 2_000, rounds: int = 1, delay_s: float = 0.05, broker: str | None = None) -> dict[str, Any]:
    """Figures of `flags` flags that endpoints with `delay_s` to answer get, `CONCURRENCY` at a time: first the one that is well alone, then
    the same beside one that fails and one that hangs, for `rounds` rounds. Raises `StreamError`."""
    if flags < 1 or rounds < 1 or delay_s < 0:
        raise UsageError("flags and rounds must be positive, and a delay not negative")
    alone: list[list[dict[str, Any]]] = []
    beside: list[list[dict[str, Any]]] = []
    with stage(broker) as staged:
        for number in range(rounds):
            alone.append(_turn(staged, ALONE, flags=flags, delay_s=delay_s, number=number))
            beside.append(_turn(staged, BESIDE, flags=flags, delay_s=delay_s, number=number))
    rows = [row for turn in beside for row in turn]
    return {
        "flags": flags,
        "rounds": rounds,
        "delay_ms": round(delay_s * 1000, 1),
        "well_flags_per_s": round(median(turn[0]["flags_per_s"] for turn in beside), 1),
        "alone_flags_per_s": round(median(turn[0]["flags_per_s"] for turn in alone), 1),
        "ratio_alone": round(median(ours[0]["flags_per_s"] / peer[0]["flags_per_s"] for ours, peer in zip(beside, alone, strict=True)), 3),
        **{name: sum(row[name] for row in rows) for name in ("missing", "twice", "out_of_order")},
        "endpoints": rows,
    }


def _turn(staged: Stage, manners: Mapping[str, Manner], *, flags: int, delay_s: float, number: int) -> list[dict[str, Any]]:
    """What became of `flags` fresh flags, an endpoint a row."""
    secret = secrets.token_hex(24)
    endpoints = {
        name: Endpoint(manner, delay_s=delay_s, secret=secret, chance=random.Random(number)) for name, manner in manners.items()
    }
    should_take_s = flags * delay_s / CONCURRENCY
    age_s = max(LEAST_AGE_S, AGE_SHARE * should_take_s)
    before = staged.ends("dead-letters")
    environ = {
        "FLAGSTREAM_BROKER": staged.broker, "FLAGSTREAM_PREFIX": staged.prefix, "FLAGSTREAM_WEB_PORT": "0", SIGNED_WITH: secret
    }
    with serving_endpoints(list(endpoints.values())):
        folder = staged.room()
        rules = folder / "actions.toml"
        rules.write_text(_rules(manners, endpoints, age_s))
        with running(["act", str(rules)], log=folder / "act.log", environ=environ) as (_, process):
            staged.fill("flags", flag_events(flags))
            _wait(staged, process, list(manners), within_s=PATIENCE * should_take_s + age_s + 60)
        if process.returncode != 0:
            raise StreamError(f"the actions service ended with {process.returncode}")
    wanted = {json.loads(value)["id"] for _, value in flag_events(flags)}
    dead = _dead(staged, before)
    return [_row(name, endpoint, dead.get(name, Counter()), wanted) for name, endpoint in endpoints.items()]


def _rules(manners: Mapping[str, Manner], endpoints: Mapping[str, Endpoint], age_s: float) -> str:
    """A rules file. Sinks begin with what comes from now on, which is this turn's flags."""
    tables = [
        f'[sinks.{name}]\ntype = "webhook"\nurl = "{endpoints[name].url}"\nsecret_env = "{SIGNED_WITH}"\nconcurrency = {CONCURRENCY}\n'
        + OPTIONS[manner]
        + (f"max_age_s = {age_s:.1f}\n" if manner == "hanging" else "")
        for name, manner in manners.items()
    ]
    return "".join(tables) + f"[[rules]]\nto = {json.dumps(list(manners))}\n"


def _wait(staged: Stage, process: subprocess.Popen[str], sinks: Sequence[str], *, within_s: float) -> None:
    """Until the group of each sink has committed all flags. Raises `StreamError` when that does not come about."""
    deadline_s = time.monotonic() + within_s
    left = list(sinks)
    while left := [sink for sink in left if _lag(staged, sink)]:
        if process.poll() is not None:
            raise StreamError(f"the actions service ended with {process.returncode} before all was done")
        if time.monotonic() > deadline_s:
            raise StreamError(f"the sinks {', '.join(left)} were not done within {within_s:.0f} s")
        time.sleep(LOOK_S)


def _lag(staged: Stage, sink: str) -> int:
    settings = staged.settings
    states = topics.states(settings.model_copy(update={"group": f"{settings.group}.act.{sink}"}))
    (flags,) = [one for one in states if one.name == staged.names.wire("flags")]
    return sum(flags.end_offsets) if flags.lag is None else flags.lag


def _dead(staged: Stage, since: dict[int, int]) -> dict[str, Counter[str]]:
    """Flags that became dead letters, by sink, and how often."""
    found: dict[str, Counter[str]] = {}
    for record in staged.read("dead-letters", since):
        letter = DeadLetter.model_validate_json(record.value or b"")
        found.setdefault(letter.sink or "", Counter())[json.loads(letter.value or b"{}").get("id", "")] += 1
    return found


def _row(name: str, endpoint: Endpoint, dead: Counter[str], wanted: set[str]) -> dict[str, Any]:
    """An endpoint's account. Twice: acted on more than once although it honours the key, or more than once a dead letter, or said to be
    taken and a dead letter all the same."""
    accounted = endpoint.answered | dead.keys()
    return {
        "endpoint": name,
        "requests": endpoint.requests,
        "delivered": len(endpoint.answered),
        "dead_letters": len(dead),
        "missing": len(wanted ^ accounted),
        "twice": sum((endpoint.acted - Counter(wanted)).values()) + (dead - Counter(wanted)).total() + len(endpoint.answered & dead.keys()),
        "out_of_order": endpoint.out_of_order,
        "flags_per_s": round(len(endpoint.answered) / endpoint.seconds, 1) if endpoint.answered else 0.0,
    }
