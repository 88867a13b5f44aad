"""`bench text`: texts a second on one thread, beside a plain transformers pipeline and the bare session."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from agents.decide import decide
from models.bundle import Bundle
from models.first import FILE
from models.text import TextClassifier
from stream import load
from stream.bench import corpus
from stream.bench.scorers import cascade, ceiling, flagstream, transformers_pipeline
from stream.settings import Settings
from stream.settings import load as load_settings
from stream.worker import TEXT_BATCH


def run_text(
    *, texts: int = 1_000, rounds: int = 3, data_dir: Path | None = None, settings: Settings | None = None
) -> dict[str, Any]:
    """Figures of scoring `texts` texts on one thread; the contenders take turns for `rounds` rounds, and a ratio is the median
    of its rounds. Texts are those of `corpus.texts`. Raises `UsageError` when the model cannot be used."""
    # Before any tokenizer is made: one thread is one thread.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    resolved = settings or load_settings()
    bundle = load.load_bundle(resolved, "message")
    chosen = corpus.texts(texts, data_dir=data_dir)
    with_hf = transformers_pipeline.available()
    works: dict[str, Callable[[], int]] = {one.NAME: one.prepare(bundle, chosen) for one in (flagstream, ceiling)}
    if with_hf:
        works[transformers_pipeline.NAME] = transformers_pipeline.prepare(bundle, chosen)
    for work in works.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        for name in works if number % 2 == 0 else reversed(works):
            rates[name].append(_rate(works[name]))
    ours, bare = rates[flagstream.NAME], rates[ceiling.NAME]
    hf = rates.get(transformers_pipeline.NAME)
    return {
        "texts_per_s": round(median(ours), 1),
        "hf_texts_per_s": None if hf is None else round(median(hf), 1),
        "ratio_hf": None if hf is None else round(median(a / b for a, b in zip(ours, hf, strict=True)), 2),
        "ceiling_texts_per_s": round(median(bare), 1),
        "efficiency": round(median(a / b for a, b in zip(ours, bare, strict=True)), 3),
        **_explained(bundle, chosen, resolved),
        **_cleared(bundle, corpus.ordinary(texts, data_dir=data_dir), rounds),
        "tokens_mean": round(ceiling.tokens(bundle, chosen), 1),
        "model": f"{bundle.card.name} {bundle.digest}",
        "cores": 1,
        "texts": texts,
        "rounds": rounds,
    }


def _cleared(bundle: Bundle, texts: Sequence[str], rounds: int) -> dict[str, float]:
    """What the bundle's first model gains on the ordinary `texts`, and which share of them it clears; empty where there is none."""
    if FILE not in bundle.card.files:
        return {}
    cleared: list[int] = []
    alone, both = flagstream.prepare(bundle, texts), cascade.prepare(bundle, texts, tell=cleared.append)
    alone(), both()
    share = sum(cleared) / len(texts)
    pairs = [(_rate(alone), _rate(both)) if number % 2 == 0 else (_rate(both), _rate(alone))[::-1] for number in range(rounds)]
    return {
        "ordinary_texts_per_s": round(median(one for one, _ in pairs), 1),
        "cascade_texts_per_s": round(median(two for _, two in pairs), 1),
        "ratio_cascade": round(median(two / one for one, two in pairs), 2),
        "cleared_share": round(share, 4),
    }


def _explained(bundle: Bundle, texts: Sequence[str], settings: Settings) -> dict[str, float]:
    """The share of `texts` that the policy flags, and what finding the spans of their reasons, as many at once as
    a worker's batch has of them, adds to the time of scoring them all."""
    model = TextClassifier.load(bundle)
    policy = load.load_policy(settings)
    began_s = time.perf_counter()
    rows = model.score(texts)
    scored_s = time.perf_counter() - began_s
    judged = [decide(dict(zip(model.labels, row.tolist(), strict=True)), policy).labels for row in rows]
    flagged = [(text, [label.name for label in labels]) for text, labels in zip(texts, judged, strict=True) if labels]
    find = load.explainer(settings, model)
    began_s = time.perf_counter()
    if find is not None:
        per_batch = max(1, round(TEXT_BATCH * len(flagged) / len(texts)))
        for at in range(0, len(flagged), per_batch):
            find(flagged[at : at + per_batch])
    explained_s = time.perf_counter() - began_s
    return {"flagged_share": round(len(flagged) / len(texts), 4), "explain_cost": round(explained_s / scored_s, 3)}


def _rate(work: Callable[[], int]) -> float:
    began_s = time.perf_counter()
    count = work()
    return count / (time.perf_counter() - began_s)
