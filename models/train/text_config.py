"""Everything that decides a training run of the text model, as one frozen value that a TOML file can override."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.train.text_sources import HEADS, SOURCES

GELU, RELU = "gelu", "relu"
ACTIVATIONS = GELU, RELU
"""What the neurons of a feed-forward part may do."""


_SOURCES = [source.name for source in SOURCES]


class ConfigError(ModelError):
    """The configuration is not usable; one line says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextConfig:
    """Two runs with equal configurations, data and library versions see the same texts in the same order."""

    seed: int = 20261123
    layers: tuple[int, ...] = (0, 2, 5)
    """Layers of MiniLM-L6 that the student starts from."""
    feed_forward: tuple[int, ...] = ()
    """Neurons to keep in the feed-forward part of each layer of what training starts from; (): all."""
    activation: str = ""
    """What the neurons of the feed-forward parts do: `gelu`, as in MiniLM, or `relu`, which costs nothing in int8; "": what those of the
    run do that training starts from, or `gelu`."""
    vocabulary: int = 16_384
    max_tokens: int = 80
    """Tokens a text is cut to in training; serving reads windows of 128."""
    batch: int = 64
    epochs: float = 0.9
    learning_rate: float = 1.2e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    augmented: float = 0.3
    """Share of the texts that are disguised on the fly."""
    swapped: float = 0.1
    """Share of the texts whose identity terms are exchanged."""
    templates: int = 16
    """Fillings of each wording of our own."""
    template_share: float = 0.12
    """Share of all drawn texts that are fillings of our own wordings."""
    written_share: float = 0.15
    """Share of all drawn texts that were written for this project, with all of their labels."""
    distilled: float = 0.15
    """What the teachers' opinion counts in the loss, if there are any, where an annotator decides; the annotator counts the rest. Where
    a text decides that was written for this project it counts nothing; fillings of wordings are as data sets."""
    filled: float = 0.4
    """What it counts where none does."""
    crossfitted: float = 0.9
    """What a specialist's opinion counts, of a text that it has not seen, in place of the teachers'; the annotator's verdict, which is
    balanced, counts the rest."""
    sources: tuple[str, ...] = ()
    """Data sets to train a specialist on, without texts of our own; (): all there is."""
    heads: tuple[str, ...] = ()
    """Outputs that a specialist learns; (): all."""
    folds: int = 1
    """Equal parts of the texts, by their words; of several, a specialist does not see the one that is `left_out`."""
    left_out: int = 0
    auxiliary: tuple[str, ...] = ()
    """Data sets whose specialists, beside all else, teach an output of its own, of every text that one of them has not seen; it is dropped
    at the end."""
    averaged: float = 0.999
    """What is kept of the mean of the weights at each step; the mean is the result. 0: the last step's weights are."""
    threads: int = 2
    checkpoint_every: int = 500
    """Optimiser steps between checkpoints."""
    limit: int = 0
    """At most this many texts an epoch; 0: no limit."""

    @classmethod
    def from_toml(cls, path: Path | None) -> TextConfig:
        """The defaults, overridden by the file's `[text]` table. Raises `ConfigError` for unknown keys or wrong types."""
        if path is None:
            return cls()
        try:
            table: dict[str, Any] = tomllib.loads(path.read_text()).get("text", {})
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        known = {field.name: getattr(cls(), field.name) for field in fields(cls)}
        for key, value in table.items():
            if key not in known:
                raise ConfigError(f"{path}: unknown key {key!r}; known: {', '.join(known)}")
            expected = type(known[key])
            if expected is tuple and isinstance(value, list):
                table[key] = tuple(value)
            elif not isinstance(value, (int, float) if expected is float else expected) or isinstance(value, bool):
                raise ConfigError(f"{path}: {key} must be {'a list' if expected is tuple else expected.__name__}")
        chosen = replace(cls(), **table)
        for key, names in (("sources", _SOURCES), ("auxiliary", _SOURCES), ("heads", list(HEADS))):
            for name in getattr(chosen, key):
                if name not in names:
                    raise ConfigError(f"{path}: unknown {key} {name!r}; known: {', '.join(names)}")
        if len(set(chosen.auxiliary)) < len(chosen.auxiliary):
            raise ConfigError(f"{path}: auxiliary names a set twice")
        if chosen.folds < 1 or not 0 <= chosen.left_out < chosen.folds:
            raise ConfigError(f"{path}: folds must be at least 1, and left_out one of the parts from 0 on")
        if not chosen.sources and (chosen.heads or chosen.folds > 1):
            raise ConfigError(f"{path}: heads and folds are for a specialist, which needs sources")
        for key in ("distilled", "filled", "crossfitted"):
            if not 0 <= getattr(chosen, key) <= 1:
                raise ConfigError(f"{path}: {key} must be 0 to 1")
        if table.get("activation", "") not in ("", *ACTIVATIONS):
            raise ConfigError(f"{path}: activation = {table['activation']!r}; known: {', '.join(ACTIVATIONS)}")
        return chosen
