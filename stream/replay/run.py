"""`flagstream replay`: a request to its results."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from schemas.labels import Kind
from schemas.topics import BY_NAME
from stream.errors import UsageError
from stream.load import BUNDLES, bundle_folder, load_policy
from stream.mapping import FieldMap
from stream.names import Names
from stream.replay.compare import compare
from stream.replay.drive import Show, drive
from stream.replay.evaluate import evaluate
from stream.replay.examples import show as show_examples
from stream.replay.file import FileSource, open_file
from stream.replay.folder import Hold, check_output, clear, held
from stream.replay.joint import by_workers
from stream.replay.judge import Judge, bundle_judge, clearing, looks_at_terminals
from stream.replay.outlet import check_outlet, publish
from stream.replay.part import Job
from stream.replay.places import with_places
from stream.replay.plan import Stretch
from stream.replay.policies import read_policy
from stream.replay.published import read_published
from stream.replay.request import RUNS, Manifest, Request, new_manifest
from stream.replay.results import Results, open_results
from stream.replay.roi import returns
from stream.replay.sides import FLAGS, by_flags, by_other_model, by_policy, what
from stream.replay.summary import Summary
from stream.replay.topic import TopicSource, open_topic
from stream.replay.verdicts import read_verdicts, verdict_topic
from stream.replay.window import bound, check_order, span_ms
from stream.settings import Settings

WARMUP: dict[Kind, str] = {"message": "0", "transaction": "30d"}
"""How much of the history before --since rebuilds the state, unless --warmup says otherwise."""


CLEARED = "scores of texts that the first model cleared, which count as 0 (FLAGSTREAM_CASCADE=off has all of them scored)"
WITHOUT_TERMINALS = "what was known of terminals, for workers elsewhere do not have the file of verdicts; name a topic of them, or leave --workers out"


def replay(settings: Settings, request: Request, *, show: Show = lambda _: None) -> Summary:
    """Judge the history that `request` names, compare and evaluate as it asks, and sum it up. `show` gets the progress. Ctrl-C ends
    it early with a summary marked incomplete; the same request with `resume` goes on from there. Raises `StreamError`, of which
    `UsageError` when something named is missing or wrong. Never writes to a topic but
    one that `request.to` names."""
    started_s = time.monotonic()
    kind = _kind(settings, request)
    policy = load_policy(settings)
    # Reading parts of a flagged text again costs more than all else, and only a flag that somebody reads tells of it.
    explain = settings.explain if request.flags or request.to or request.workers else 0
    judge = bundle_judge(request.model or bundle_folder(settings, BUNDLES[kind]), policy, kind, explain=explain)
    against = what(request.against) if request.against is not None else None
    other = clearing(settings, bundle_judge(Path(request.against or ""), policy, kind)) if against == "model" else None
    # What else was named is read first: a mistake should not show after an hour.
    before_policy = read_policy(Path(request.against or "")) if against == "policy" else None
    judge = clearing(settings, judge, *([] if before_policy is None else [before_policy]))
    if against == FLAGS:
        open_topic(settings, Names(settings.prefix).wire(FLAGS))
    if request.to is not None:
        check_outlet(settings, request.to)
    check_output(request.flags, name="--flags")
    check_output(request.report, name="--report")
    verdicts = None if request.verdicts is None else read_verdicts(settings, request.verdicts)
    done = _done(request)
    results = run(settings, request, kind=kind, judge=judge, against=other, show=show)
    judged_s = time.monotonic() - started_s
    before = None
    if before_policy is not None:
        before = by_policy(before_policy, judge.labels)
    elif other is not None:
        before = by_other_model(policy, other.labels, name=f"model {other.folder.name} ({other.model_digest})")
    elif against == FLAGS:
        topic = results.manifest.topic if request.topic is not None else None
        published, gone = read_published(settings, kind=kind, topic=topic, since_ms=(results.span() or (0, 0))[0])
        before = by_flags(published, gone=gone)
    after = by_policy(policy, judge.labels, name=None if other is None else f"model {judge.folder.name} ({judge.model_digest})")
    diff = None if before is None else compare(results, before, after, verdicts=verdicts)
    shown: dict[tuple[int, int], str] = {}
    if diff is not None and request.examples != "places":
        source = _again(settings, request, results.folder, results.manifest)
        shown = show_examples(source, kind, [one for many in diff.examples.values() for one in many], request.examples)
    summary = Summary(
        results=results, policy=policy, seconds=judged_s, returned=returns(results, policy, verdicts, request.prices),
        diff=diff, shown=shown, command=_exactly(request, results.manifest),
        judged=None if request.workers is not None else results.tally.events + results.tally.warmup - done,
        evaluation=None if verdicts is None else evaluate(results, verdicts, policy),
    )
    if request.flags is not None:
        results.write_flags(request.flags)
    if request.to is not None:
        publish(settings, results.flags(), topic=request.to)
    if request.report is not None:
        from stream.replay.report import write_report

        write_report(request.report, summary)
    return summary


def run(settings: Settings, request: Request, *, kind: Kind, judge: Judge, against: Judge | None, show: Show) -> Results:
    """Judge, and leave everything found in the run's folder. `against` is a second model to judge beside. Raises `StreamError`."""
    folder = _folder(request)
    if request.resume:
        Manifest.load(folder)
    with held(folder, again=request.resume and request.workers is None) as hold:
        return _run(settings, request, folder, hold, kind=kind, judge=judge, against=against, show=show)


def _run(
    settings: Settings, request: Request, folder: Path, hold: Hold, *, kind: Kind, judge: Judge, against: Judge | None, show: Show
) -> Results:
    identity = _identity(request, judge, against)
    if request.workers is not None:
        if request.topic is None or against is not None:
            raise UsageError("--workers: workers judge a topic, with one model; replay a file, or a second model, without it")
        source = _source(settings, request, kind, folder)
        manifest = _manifest(identity, kind, source, judge, None)
        verdicts = None
        if request.verdicts is not None and looks_at_terminals(judge):
            if (named := verdict_topic(settings, request.verdicts)) is None:
                manifest = replace(manifest, gaps=(*manifest.gaps, WITHOUT_TERMINALS))
            else:
                verdicts = Stretch(topic=named, parts=open_topic(settings, named).parts)
        return by_workers(
            settings, request.workers, manifest, judge, verdicts=verdicts, folder=folder, explain=settings.explain, show=show
        )
    if request.resume:
        manifest = Manifest.load(folder)
        if manifest.identity != identity:
            raise UsageError(f"{folder}: is a replay of another range, model or policy, or differs in its verdicts or in whether flags are written; start anew without --resume")
        source = _again(settings, request, folder, manifest)
    else:
        clear(folder)
        source = _source(settings, request, kind, folder)
        manifest = _manifest(identity, kind, source, judge, against)
        manifest.save(folder)
    if kind == "transaction" and request.verdicts is not None:
        judge, against = with_places(settings, request.verdicts, source, folder / "places", judge, against, show=show)
    job = Job(source=source, kind=kind, judge=judge, against=against, folder=folder, at=manifest.at)
    drive(job, processes=request.processes or os.cpu_count() or 1, show=show, hold=hold)
    return open_results(folder)


def _done(request: Request) -> int:
    """Events that an earlier try of the run had judged."""
    if not request.resume or request.workers is not None:
        return 0
    tally = open_results(_folder(request)).tally
    return tally.events + tally.warmup


def _folder(request: Request) -> Path:
    return request.folder or RUNS / request.fingerprint


def _exactly(request: Request, manifest: Manifest) -> str:
    """The command that gives the same again, also when the topic has grown since. A run of workers has its range on the broker."""
    if request.topic is None or request.until is not None or request.workers is not None:
        return request.command
    return f"{request.command} --until {','.join(f'{part.number}:{part.end}' for part in manifest.parts)}"


def _kind(settings: Settings, request: Request) -> Kind:
    if (request.topic is None) == (request.file is None):
        raise UsageError("give either a topic (--topic) or a file (--input)")
    if request.kind is not None:
        return request.kind
    if request.topic is not None:
        named: dict[str, Kind] = {"messages": "message", "transactions": "transaction"}
        found = named.get(Names(settings.prefix).table(request.topic))
        if found is not None:
            return found
    raise UsageError(f"what does {request.topic or request.file} hold? say --kind message or --kind transaction")


def _wire(settings: Settings, topic: str) -> str:
    """The name on the broker: one of the table's gets the prefix, any other is taken as it is."""
    return Names(settings.prefix).wire(topic) if topic in BY_NAME else topic


def _source(settings: Settings, request: Request, kind: Kind, folder: Path) -> TopicSource | FileSource:
    now = request.now
    limits: dict[str, Any] = {
        "since": bound(request.since, name="--since", now=now),
        "until": bound(request.until, name="--until", now=now),
        "warmup_ms": span_ms(request.warmup or WARMUP[kind], name="--warmup"),
    }
    check_order(limits["since"], limits["until"])
    if request.topic is not None:
        return open_topic(settings, _wire(settings, request.topic), **limits)
    assert request.file is not None
    return open_file(request.file, kind, folder=folder / "input", fields=FieldMap.parse(request.fields, request.sets), **limits)


def _again(settings: Settings, request: Request, folder: Path, manifest: Manifest) -> TopicSource | FileSource:
    if request.topic is not None:
        return TopicSource(settings=settings, topic=manifest.topic, parts=manifest.parts, gaps=manifest.gaps)
    return FileSource(folder=folder / "input", topic=manifest.topic, parts=manifest.parts, gaps=manifest.gaps)


def _manifest(identity: str, kind: Kind, source: TopicSource | FileSource, judge: Judge, against: Judge | None) -> Manifest:
    cleared = any(side.floors for side in (judge, against) if side is not None)
    return new_manifest(
        identity=identity, kind=kind, topic=source.topic, parts=source.parts, gaps=(*source.gaps, CLEARED) if cleared else source.gaps,
        labels=judge.labels, against_labels=against.labels if against else (), model=judge.model_digest, policy=judge.policy.digest,
        floors=judge.floors,
    )


def _identity(request: Request, judge: Judge, against: Judge | None) -> str:
    other = f"{against.model_digest}/{against.policy.digest}" if against else "-"
    marks = "explained/" if request.flags or request.to or request.workers else ""
    # Verdicts tell of terminals, and so of scores: half a replay with them and half without would be neither.
    looks = any(looks_at_terminals(side) for side in (judge, against))
    marks += f"verdicts={request.verdicts}/" if request.verdicts and looks else ""
    marks += "cleared/" if judge.floors or (against is not None and against.floors) else ""
    return f"{request.fingerprint}/{marks}{judge.model_digest}/{judge.policy.digest}/{other}"


