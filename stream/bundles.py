"""The bundles of a folder, for people: what they are and whether they are intact."""

from __future__ import annotations

from typing import Any

from models.bundle import ARTIFACTS, Bundle
from models.errors import ModelError
from models.first import Cascade, First, refusal
from models.fraud import FraudClassifier
from models.text import TextClassifier
from stream.errors import StreamError, UsageError
from stream.load import bundle_folder, load_policy
from stream.settings import Settings


def listing(settings: Settings, *, load: bool = False) -> list[dict[str, Any]]:
    """Name, digest, kind, labels and size of each bundle, verified; with `load` also loaded. `first` tells the thresholds that its first
    model was fitted for, and why that clears nothing under the policy in force (empty where it does). Raises `StreamError` for the
    first that is damaged, `UsageError` where there is no bundle at all."""
    folder = settings.models or ARTIFACTS
    found = sorted(path.parent for path in [*folder.glob("card.json"), *folder.glob("*/card.json")])
    if not found:
        raise UsageError(f"{folder}: no model bundles there")
    rows = []
    for path in found:
        try:
            bundle = Bundle.open(path)
            first = First.of(bundle)
            if load:
                model = (TextClassifier if bundle.card.kind == "message" else FraudClassifier).load(bundle)
                if first is not None and isinstance(model, TextClassifier):
                    Cascade(model, first)
        except ModelError as error:
            raise StreamError(f"model {error}") from error
        labels = [output.label for output in bundle.card.outputs]
        rows.append(
            {
                "name": path.name,
                "kind": bundle.card.kind,
                "digest": bundle.digest,
                "labels": labels,
                "withheld": [entry.label for entry in bundle.card.withheld],
                "first": None if first is None else {"review": first.terms.review, "refuses": refusal(first.terms.review, load_policy(settings), labels)},
                "bytes": sum(file.stat().st_size for file in path.iterdir()),
            }
        )
    return rows


def card(settings: Settings, name: str) -> str:
    """The card of a bundle as JSON. Raises `UsageError` for a name that is not there."""
    folder = settings.models or ARTIFACTS
    try:
        return Bundle.open(bundle_folder(settings, name)).card.model_dump_json(indent=2, exclude_defaults=True)
    except ModelError as error:
        known = ", ".join(sorted(path.parent.name for path in folder.glob("*/card.json")))
        raise UsageError(f"{error}; there are: {known}") from error
