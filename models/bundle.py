"""A bundle on disk: a folder with card.json, model.onnx and what the model needs beside them, verified when opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.card import Card
from models.errors import BundleError
from schemas.codec import describe
from schemas.labels import BY_NAME

ARTIFACTS = Path(__file__).parent / "artifacts"
"""The bundles that come with the program."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files all have the digests that its card names; `digest` identifies the whole of it."""

    folder: Path
    card: Card
    digest: str

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """The bundle in `folder`. Raises `BundleError` when something is missing, unreadable or altered."""
        path = folder / "card.json"
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{folder}: no model bundle: cannot read card.json ({error.strerror})") from error
        try:
            card = Card.model_validate_json(raw)
        except ValidationError as error:
            raise BundleError(f"{path}: {describe(error)}") from error
        if "model.onnx" not in card.files:
            raise BundleError(f"{path}: files names no model.onnx")
        for name, expected in card.files.items():
            _verify(folder, name, expected)
        for output in card.outputs:
            if output.label not in BY_NAME:
                raise BundleError(f"{path}: unknown label {output.label!r}; known: {', '.join(BY_NAME)}")
        # The parts of the card that shape a score: retouching the prose or the figures keeps flags comparable.
        shaping = card.model_dump(mode="json", include={"outputs", "features", "files", "parameters"})
        return cls(folder, card, _digest(shaping))

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return self.folder / "model.onnx"

    def file(self, name: str) -> Path:
        """A file of the bundle by name. Raises `BundleError` when the card does not vouch for it."""
        if name not in self.card.files:
            raise BundleError(f"{self.folder}: the card names no {name}")
        return self.folder / name

    def parameter(self, name: str) -> Any:  # noqa: ANN401 (JSON of the card; the caller narrows it)
        """A parameter of the card. Raises `BundleError` when it is absent."""
        try:
            return self.card.parameters[name]
        except KeyError:
            raise BundleError(f"{self.folder}/card.json: parameters lacks {name!r}") from None


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if path.resolve().parent != folder.resolve():
        raise BundleError(f"{folder}/card.json: {name!r} lies outside the bundle")
    try:
        found = file_sha256(path)
    except OSError as error:
        raise BundleError(f"{folder}: cannot read {name} ({error.strerror})") from error
    if found != expected:
        raise BundleError(f"{path}: altered or damaged: SHA-256 is {found[:12]}…, the card says {expected[:12]}…")
