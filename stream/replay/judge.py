"""Who judges in a replay: a model under a policy, as the same agent object that the worker runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, TypeGuard

from agents.fraud import FraudAgent
from agents.moderation import ModerationAgent
from agents.protocol import Agent, State, StateKey
from models import normalise
from models.bundle import Bundle
from models.errors import ModelError
from models.first import Cascade, First
from models.fraud import FraudClassifier
from models.halves import Halves
from models.spans import SpanFinder
from models.text import TextClassifier
from schemas.flag import Provenance
from schemas.labels import Kind
from schemas.policy import Policy
from stream.errors import UsageError
from stream.load import first_model
from stream.replay.place_file import PlaceFile
from stream.replay.record import Recorder
from stream.settings import Settings


class Histories:
    """An agent's state in memory."""

    def __init__(self) -> None:
        self.values: dict[StateKey, bytes] = {}

    def get(self, at: StateKey) -> bytes | None:
        """The stored value, or None."""
        return self.values.get(at)

    def apply(self, writes: Mapping[StateKey, bytes]) -> None:
        """Store what a batch caused."""
        self.values.update(writes)


class Judge(Protocol):
    """Makes the agent of one side of a replay; can be pickled."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its scores, in order."""
        ...

    @property
    def policy(self) -> Policy:
        """What decides."""
        ...

    @property
    def model_digest(self) -> str:
        """What scores."""
        ...

    @property
    def floors(self) -> Mapping[str, float]:
        """Review thresholds below which the scores say nothing, since a first model clears texts; empty where none does."""
        ...

    def agent(self, state: State) -> tuple[Agent, Recorder]:
        """A new agent in mode "replay" over `state`, and the recorder of its scores."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleJudge:
    """A model bundle under a policy."""

    kind: Kind
    folder: Path
    labels: tuple[str, ...]
    model_digest: str
    policy: Policy
    explain: int = 0
    """As the setting of that name."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """The review thresholds that the bundle's first model was fitted for, where it clears texts; empty where it does not."""
    terminals: bool = False
    """Whether the model looks at terminals too."""
    places: Path | None = None
    """Where what is known of terminals lies; without, they are not assessed."""

    def agent(self, state: State) -> tuple[Agent, Recorder]:
        """A new agent over `state`. Raises `UsageError` when the bundle changed meanwhile or cannot be used."""
        bundle = _open(self.folder)
        if bundle.digest != self.model_digest:
            raise UsageError(f"model {self.folder}: changed since the replay began")
        model: Any
        try:
            model = TextClassifier.load(bundle) if self.kind == "message" else FraudClassifier.load(bundle)
            first = First.of(bundle) if self.floors else None
            recorder = Recorder(model if first is None else Cascade(model, first))
        except ModelError as error:
            raise UsageError(f"model {error}") from error
        scorer: Any = recorder
        tier = bundle.card.name
        if self.kind == "message":
            provenance = Provenance(
                model=bundle.digest, policy=self.policy.digest, normaliser=normalise.DIGEST,
                tokenizer=bundle.card.files.get("tokenizer.json", "")[:16] or None,
            )
            # The model itself, not its recorder: what is read to explain is no event's score.
            explain = SpanFinder(model, parts=self.explain) if self.explain else None
            return ModerationAgent(scorer, self.policy, provenance, tier=tier, mode="replay", explain=explain), recorder
        provenance = Provenance(model=bundle.digest, policy=self.policy.digest)
        places = None if self.places is None else PlaceFile(self.places)
        return FraudAgent(scorer, self.policy, state, provenance, tier=tier, mode="replay", places=places), recorder


def bundle_judge(folder: Path, policy: Policy, kind: Kind, *, explain: int = 0, floors: Mapping[str, float] | None = None) -> BundleJudge:
    """The judge with the bundle in `folder`. Raises `UsageError` when it cannot be used for events of `kind`."""
    bundle = _open(folder)
    if bundle.card.kind != kind:
        raise UsageError(f"model {folder}: is for {bundle.card.kind}s, but the history holds {kind}s")
    labels = tuple(output.label for output in bundle.card.outputs)
    return BundleJudge(
        kind=kind, folder=folder, labels=labels, model_digest=bundle.digest, policy=policy, explain=explain, floors=dict(floors or {}),
        terminals=Halves(bundle.card.features).terminals,
    )


def looks_at_terminals(judge: Judge | None) -> TypeGuard[BundleJudge]:
    """Whether `judge`, if there is one, has a use for what verdicts tell of terminals."""
    return isinstance(judge, BundleJudge) and judge.terminals


def clearing(settings: Settings, judge: BundleJudge, *others: Policy) -> BundleJudge:
    """`judge` with the first model of its bundle, where the settings ask for it and neither its own policy nor one of `others`, which
    its scores are decided by too, speaks against it."""
    if judge.kind != "message":
        return judge
    first = first_model(settings, _open(judge.folder), judge.policy, *others)
    return judge if first is None else replace(judge, floors=first.terms.review)


def _open(folder: Path) -> Bundle:
    try:
        return Bundle.open(folder)
    except ModelError as error:
        raise UsageError(f"model {error}") from error
