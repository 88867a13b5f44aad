"""`flagstream score`: messages and transactions judged without Kafka, by the models and the policy that judge them live."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from pydantic_core import to_json

from agents.decide import decide, risk_score
from agents.fraud import LABEL
from agents.moderation import Explainer, ModerationAgent, TextScorer
from models.errors import ModelError
from models.fraud import FraudClassifier
from models.ledger import Ledger
from models.text import TextClassifier
from schemas.codec import Position, RawRecord, describe
from schemas.flag import Provenance
from schemas.labels import Kind
from schemas.policy import Policy
from schemas.transaction import Transaction
from schemas.verdict import Verdict
from stream import load
from stream.errors import UsageError
from stream.mapping import Completion, FieldMap, MappingError
from stream.rows import Row, read
from stream.settings import Settings
from stream.timeline import in_time_order

BATCH = 512
Line = dict[str, Any]
"""One answer, as it is printed."""


@dataclass(slots=True)
class Scored:
    """Lines answered, of them with an error; verdicts that took effect, and those that could not."""

    lines: int = 0
    errors: int = 0
    verdicts: int = 0
    verdicts_unused: int = 0
    seconds: float = 0.0


def score_texts(settings: Settings, texts: Sequence[str]) -> list[Line]:
    """Judge `texts`, whose ids are their numbers from 1. Raises `UsageError` when model or policy cannot be used."""
    rows = (Row(number, None, {"text": text}) for number, text in enumerate(texts, start=1))
    return list(text_scorer(settings).lines(rows, file="text"))


def score_file(
    settings: Settings,
    source: Path,
    out: TextIO,
    *,
    kind: Kind = "message",
    verdicts: Path | None = None,
    maps: Sequence[str] = (),
    constants: Sequence[str] = (),
    on_progress: Callable[[Scored], None] = lambda _: None,
) -> Scored:
    """Judge every row of `source` (JSON Lines, CSV, Parquet; `-`: standard input) and write a JSON line each to `out`: messages in
    the order of the file, transactions in the order of their times, each seeing those before it and the `verdicts` known by
    then. A row that cannot be judged gives a line with `error`. Raises `UsageError`."""
    if verdicts is not None and kind != "transaction":
        raise UsageError("--verdicts goes with --kind transaction")
    fields = FieldMap.parse(maps, constants)
    tally = Scored()
    started_s = time.monotonic()
    lines: Iterator[Line]
    if kind == "message":
        lines = text_scorer(settings).lines(read(source), file=source.name, fields=fields)
    else:
        lines = transaction_scorer(settings).lines(source, verdicts, fields=fields, tally=tally)
    for line in lines:
        out.write(to_json(line).decode() + "\n")
        tally.lines += 1
        tally.errors += "error" in line
        if tally.lines % BATCH == 0:
            tally.seconds = round(time.monotonic() - started_s, 3)
            on_progress(tally)
    tally.seconds = round(time.monotonic() - started_s, 3)
    out.flush()
    on_progress(tally)
    return tally


def text_scorer(settings: Settings) -> TextLines:
    """The moderation agent as it is live, without a first model: scores are asked for. Raises `UsageError`."""
    bundle = load.load_bundle(settings, "message")
    try:
        model = TextClassifier.load(bundle)
    except ModelError as error:
        raise UsageError(f"model {error}") from error
    return TextLines(model, load.load_policy(settings), tier=bundle.card.name, explain=load.explainer(settings, model))


def transaction_scorer(settings: Settings) -> TransactionLines:
    """The fraud model with the policy in force. Raises `UsageError`."""
    return TransactionLines(load.fraud_model(settings)[1], load.load_policy(settings))


class _Remembering:
    """A text model that keeps the answers of the batch: an agent tells only those that reach a threshold."""

    def __init__(self, model: TextScorer) -> None:
        self._model = model
        self.labels = model.labels
        self.rows: dict[str, NDArray[np.float32]] = {}

    def score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The model's answer."""
        scores = self._model.score(texts)
        self.rows.update(zip(texts, scores, strict=True))
        return scores

    def of(self, text: str) -> NDArray[np.float32]:
        """The scores of one text, which the agent has just asked for as a rule."""
        found = self.rows.get(text)
        return self._model.score([text])[0] if found is None else found


class TextLines:
    """Messages to lines, through the moderation agent."""

    def __init__(self, model: TextScorer, policy: Policy, *, tier: str, explain: Explainer | None = None) -> None:
        self._model = _Remembering(model)
        provenance = Provenance(model=tier, policy=policy.digest)
        self._agent = ModerationAgent(self._model, policy, provenance, tier=tier, explain=explain)

    def lines(self, rows: Iterator[Row], *, file: str, fields: FieldMap | None = None) -> Iterator[Line]:
        """A line for each row, in order: `{"id", "labels": {label: probability}, "decision", "reasons"}` or `{"id", "error"}`."""
        complete = Completion("messages", fields or FieldMap({}, {}), file=file, now=datetime.now(UTC))
        while batch := list(islice(rows, BATCH)):
            yield from self._batch(batch, complete)

    def _batch(self, rows: list[Row], complete: Completion) -> Iterator[Line]:
        faults: dict[int, str] = {}
        texts: dict[int, str] = {}
        raws = []
        for row in rows:
            if row.fields is None:
                faults[row.number] = row.fault
                continue
            try:
                record = complete(row)
                value = to_json(record)
            except (MappingError, ValueError) as error:
                faults[row.number] = str(error) if isinstance(error, MappingError) else "cannot be read"
                continue
            texts[row.number] = str(record.get("text"))
            raws.append(RawRecord(Position("messages", 0, row.number), None, value, 0))
        self._model.rows.clear()
        outcome = self._agent.handle(raws, at=datetime.now(UTC))
        faults.update({letter.offset: letter.error_text for letter in outcome.dead_letters})
        flags = {flag.event.offset: flag for flag in outcome.flags}
        for row in rows:
            if row.number in faults:
                yield {"id": _id(row), "error": faults[row.number]}
                continue
            scores = self._model.of(texts[row.number]).tolist()
            flag = flags.get(row.number)
            yield {
                "id": _id(row),
                "labels": {label: round(score, 6) for label, score in zip(self._model.labels, scores, strict=True)},
                "decision": "allow" if flag is None else flag.decision,
                "reasons": [] if flag is None else [reason.model_dump(exclude_none=True) for reason in flag.reasons],
            }


class TransactionLines:
    """Transactions to lines, through the fraud model over a ledger of everything that came before."""

    def __init__(self, model: FraudClassifier, policy: Policy) -> None:
        self._model = model
        self._policy = policy

    def lines(self, source: Path, verdicts: Path | None, *, fields: FieldMap, tally: Scored) -> Iterator[Line]:
        """A line for each row of `source` in the order of time: `{"id", "fraud": probability, "risk_score", "decision"}` or
        `{"id", "error"}`; what became of the verdicts is counted in `tally`."""
        # Where no verdicts come in, every terminal would seem proven clean.
        ledger = Ledger(self._model.vector, terminals=verdicts is not None)
        complete = Completion("transactions", fields, file=source.name, now=None)
        known = _verdicts(verdicts, tally)
        verdict = next(known, None)
        waiting: list[tuple[Row, list[float] | str]] = []
        for row in in_time_order(source, complete):
            body = _transaction(row, complete)
            if isinstance(body, Transaction):
                while verdict is not None and verdict.occurred_at <= body.occurred_at:
                    took_effect = ledger.learn(verdict)
                    tally.verdicts += took_effect
                    tally.verdicts_unused += not took_effect
                    verdict = next(known, None)
            waiting.append((row, body if isinstance(body, str) else ledger.see(body)))
            if len(waiting) == BATCH:
                yield from self._answers(waiting)
                waiting = []
        yield from self._answers(waiting)
        # The rest is later than every transaction.
        tally.verdicts_unused += (verdict is not None) + sum(1 for _ in known)

    def _answers(self, waiting: list[tuple[Row, list[float] | str]]) -> Iterator[Line]:
        found = [row for _, row in waiting if not isinstance(row, str)]
        scores = iter(self._model.score(np.array(found, np.float32)).tolist() if found else [])
        for row, content in waiting:
            if isinstance(content, str):
                yield {"id": _id(row), "error": content}
                continue
            score = next(scores)
            if not math.isfinite(score):
                yield {"id": _id(row), "error": "the score is not a number"}
                continue
            probability = round(score, 6)
            yield {
                "id": _id(row),
                "fraud": probability,
                "risk_score": risk_score(probability),
                "decision": decide({LABEL: probability}, self._policy).decision,
            }


def _verdicts(path: Path | None, tally: Scored) -> Iterator[Verdict]:
    if path is None:
        return
    complete = Completion("verdicts", FieldMap({}, {}), file=path.name, now=None)
    for row in in_time_order(path, complete):
        try:
            if row.fields is not None:
                yield Verdict.model_validate(complete(row))
                continue
        except (ValidationError, MappingError):
            pass
        tally.verdicts_unused += 1


def _transaction(row: Row, complete: Completion) -> Transaction | str:
    if row.fields is None:
        return row.fault
    try:
        return Transaction.model_validate(complete(row))
    except ValidationError as error:
        return describe(error)
    except MappingError as error:
        return str(error)


def _id(row: Row) -> Any:  # noqa: ANN401 (whatever the sender calls it)
    """The row's own id as it stands there, so that a reader can join on it; without one the row's number."""
    fields: Mapping[str, Any] = row.fields or {}
    for name in ("id", "transaction_id"):
        if isinstance(fields.get(name), str | int) and fields[name] != "":
            return fields[name]
    return str(row.number)
