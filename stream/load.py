"""Models and policy from their files, as agents ready to be registered."""

from __future__ import annotations

from pathlib import Path

import structlog

from agents.board import Inputs
from agents.fraud import FraudAgent, PlaceRows
from agents.moderation import ModerationAgent
from agents.protocol import State
from agents.terminals import TerminalAgent
from models import normalise
from models.bundle import ARTIFACTS, Bundle
from models.errors import ModelError
from models.first import Cascade, First, refusal
from models.fraud import FraudClassifier
from models.repeats import Repeats
from models.spans import SpanFinder
from models.text import TextClassifier
from schemas.flag import Mode, Provenance
from schemas.labels import Kind
from schemas.policy import Policy, PolicyError
from stream import metrics
from stream.errors import UsageError
from stream.settings import Settings

log = structlog.get_logger(__name__)

DEFAULT_POLICY = Path(__file__).parent.parent / "agents" / "default_policy.toml"
BUNDLES: dict[Kind, str] = {"message": "moderation", "transaction": "fraud"}


def load_policy(settings: Settings) -> Policy:
    """The policy in force. Raises `UsageError` with file, place and fault."""
    path = settings.policy or DEFAULT_POLICY
    try:
        return Policy.from_toml(path.read_text(), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"policy {path}: cannot be read: {error}") from error
    except PolicyError as error:
        raise UsageError(f"policy {error}") from error


def bundle_folder(settings: Settings, name: str) -> Path:
    """Where the bundle `name` lies: in the folder of bundles; or, where the setting names one bundle, that one if it is it, else the
    one that comes with the program."""
    folder = settings.models or ARTIFACTS
    if not (folder / "card.json").is_file():
        return folder / name
    try:
        return folder if Bundle.open(folder).card.name == name else ARTIFACTS / name
    except ModelError as error:
        raise UsageError(f"model {error}") from error


def load_bundle(settings: Settings, kind: Kind, *, name: str | None = None) -> Bundle:
    """The bundle for a kind of event, or the one of that `name`. Raises `UsageError`."""
    try:
        return Bundle.open(bundle_folder(settings, name or BUNDLES[kind]))
    except ModelError as error:
        raise UsageError(f"model {error}") from error


def moderation_agent(settings: Settings, policy: Policy, *, mode: Mode = "live") -> ModerationAgent:
    """The moderation agent. Raises `UsageError` when its model cannot be used."""
    bundle = load_bundle(settings, "message")
    first = first_model(settings, bundle, policy)
    try:
        model = TextClassifier.load(bundle)
        scorer = model if first is None else Cascade(model, first, tell=metrics.CLEARED.inc)
    except ModelError as error:
        raise UsageError(f"model {error}") from error
    provenance = Provenance(
        model=bundle.digest, policy=policy.digest, tokenizer=bundle.card.files.get("tokenizer.json", "")[:16] or None,
        normaliser=normalise.DIGEST,
    )
    # Same scores, since a text's score depends on nothing but the text.
    known = Repeats(scorer, tell=metrics.REPEATED.inc)
    return ModerationAgent(known, policy, provenance, tier=bundle.card.name, mode=mode, explain=explainer(settings, model))


def first_model(settings: Settings, bundle: Bundle, *policies: Policy) -> First | None:
    """The first model of `bundle`, where the setting `cascade` is on and none of `policies` speaks against it; else None, and where the
    setting is on the log says why. Raises `UsageError` when it is damaged."""
    if settings.cascade == "off":
        return None
    try:
        first = First.of(bundle)
    except ModelError as error:
        raise UsageError(f"model {error}") from error
    labels = [output.label for output in bundle.card.outputs]
    against = [] if first is None else [why for policy in policies if (why := refusal(first.terms.review, policy, labels))]
    if first is None or against:
        reason = against[0] if against else "the bundle has no first model"
        log.warning("cascade.off", model=bundle.card.name, reason=reason)
        return None
    return first


def explainer(settings: Settings, model: TextClassifier) -> SpanFinder | None:
    """What finds the spans of reasons; None where the setting `explain` is 0."""
    return SpanFinder(model, parts=settings.explain) if settings.explain else None


def fraud_model(settings: Settings) -> tuple[Bundle, FraudClassifier]:
    """The fraud classifier and its bundle. Raises `UsageError` when it cannot be used."""
    bundle = load_bundle(settings, "transaction")
    try:
        return bundle, FraudClassifier.load(bundle)
    except ModelError as error:
        raise UsageError(f"model {error}") from error


def fraud_agent(
    bundle: Bundle, model: FraudClassifier, policy: Policy, state: State, *, mode: Mode = "live", terminals: int = 0,
    places: PlaceRows | None = None,
) -> FraudAgent:
    """The fraud agent over `state`."""
    provenance = Provenance(model=bundle.digest, policy=policy.digest)
    return FraudAgent(model, policy, state, provenance, tier=bundle.card.name, mode=mode, terminals=terminals, places=places)


def terminal_agent(
    bundle: Bundle, model: FraudClassifier, policy: Policy, state: State, *, inputs: Inputs, wait_s: float, mode: Mode = "live"
) -> TerminalAgent:
    """The agent of terminals over `state`."""
    provenance = Provenance(model=bundle.digest, policy=policy.digest)
    return TerminalAgent(model, policy, state, provenance, inputs=inputs, wait_s=wait_s, tier=bundle.card.name, mode=mode)
