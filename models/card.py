"""A bundle's card: what the model is, what it was trained on, how good it is, and how its outputs become probabilities."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Name
from schemas.labels import Kind

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Calibration(_Entry):
    """Platt scaling (Platt 1999): probability = sigmoid(slope · logit + intercept); slope is positive, so order is kept."""

    slope: Annotated[float, Field(gt=0)] = 1.0
    intercept: float = 0.0


class Output(_Entry):
    """One output column of model.onnx, in order: the label it stands for and how its logit is calibrated."""

    label: Name
    calibration: Calibration = Calibration()


class Withheld(_Entry):
    """A label that was tried and is not shipped, with the reason and the figure."""

    label: Name
    reason: str


class Source(_Entry):
    """A data set that the weights were trained on."""

    name: str
    licence: str
    rows: Annotated[int, Field(ge=0)]
    note: str = ""


class Quality(_Entry):
    """One measured slice: figures by name (auc, average_precision, …) for this model, and the same for each named peer."""

    slice: str
    label: Name
    rows: Annotated[int, Field(ge=0)]
    positives: Annotated[int, Field(ge=0)]
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}
    baselines: dict[str, dict[str, float]] = {}
    note: str = ""


class Figures(_Entry):
    """Figures by name, and the 95 % intervals of some of them."""

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]] = {}


class TunedLabel(_Entry):
    """What became of a label: how many verdicts confirmed and overturned it, what was changed (`change`: the head and its calibration,
    the calibration alone, a new head, or nothing, and then `note` says why), how strongly the head was held to the one before, figures
    on held-out verdicts before and after (macro-F1 and recall at the threshold `review`: before, that of the policy in force; after, the
    one that flags as many of the overturned texts), and how many of the regression sentences are judged rightly at the policy's."""

    label: Name
    confirmed: Annotated[int, Field(ge=0)]
    overturned: Annotated[int, Field(ge=0)]
    change: Literal["none", "calibration", "head", "new head"]
    strength: Annotated[float, Field(ge=0)] = 0.0
    held_out: Annotated[int, Field(ge=0)] = 0
    before: Figures | None = None
    after: Figures | None = None
    review_before: Annotated[float, Field(ge=0, le=1)] | None = None
    review_after: Annotated[float, Field(ge=0, le=1)] | None = None
    sentences: Annotated[int, Field(ge=0)] = 0
    right_before: Annotated[int, Field(ge=0)] = 0
    right_after: Annotated[int, Field(ge=0)] = 0
    note: str = ""


class Tuning(_Entry):
    """A re-fit of the heads on a user's verdicts: the digest of the bundle that it started from and of the examples (SHA-256), how many
    lines there were and why some were left out, and each label."""

    created: Name
    origin: Name
    examples: Annotated[int, Field(ge=0)]
    examples_digest: Sha256
    lines: Annotated[int, Field(ge=0)]
    skipped: dict[str, int] = {}
    prevalence: float | None = None
    labels: tuple[TunedLabel, ...] = ()


class Card(_Entry):
    """`card.json`. `files` holds the SHA-256 of every other file of the bundle; `parameters` what the reading code needs
    to know beyond that (for text: max_tokens, max_windows; digests of the normaliser), with names that code documents."""

    card_version: Literal[1] = 1
    name: Name
    kind: Kind
    description: str
    licence: str
    created: Name
    base: str = ""
    outputs: tuple[Output, ...]
    withheld: tuple[Withheld, ...] = ()
    features: tuple[str, ...] = ()
    files: dict[str, Sha256]
    parameters: dict[str, Any] = {}
    sources: tuple[Source, ...] = ()
    quality: tuple[Quality, ...] = ()
    limits: tuple[str, ...] = ()
    tuning: tuple[Tuning, ...] = ()
