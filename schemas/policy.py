"""A policy: from which score on a label is flagged, how severe that is, and what is done. Data, never code."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.base import Name
from schemas.flag import Probability
from schemas.labels import BY_NAME, Severity


class PolicyError(ValueError):
    """The policy is not usable; the message says where and why in one line."""


class _Strict(BaseModel):
    # A policy is written by hand: a misspelt field must be an error, not a silently ignored line.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LabelRule(_Strict):
    """Flag from probability `review` on; from `block` on (None: never) the decision is block."""

    review: Probability
    block: Probability | None = None
    severity: Severity

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.block is not None and self.block < self.review:
            raise ValueError("block must not be below review")
        return self


class RiskBands(_Strict):
    """`risk_score` (0–100) from which a transaction's `risk_level` is elevated, and highest."""

    elevated: Annotated[int, Field(ge=0, le=100)] = 30
    highest: Annotated[int, Field(ge=0, le=100)] = 70

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.highest < self.elevated:
            raise ValueError("highest must not be below elevated")
        return self


class Policy(_Strict):
    """A named set of rules, one a label; a label without a rule is never flagged."""

    version: Literal[1] = 1
    name: Name
    labels: dict[str, LabelRule]
    risk: RiskBands = RiskBands()

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = sorted(set(self.labels) - set(BY_NAME))
        if unknown:
            raise ValueError(f"unknown label {unknown[0]!r}; known: {', '.join(BY_NAME)}")
        return self

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the content, shortened to 16 characters; equal for files that differ only in layout."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @classmethod
    def from_toml(cls, text: str, *, source: str) -> Policy:
        """The policy in `text`. Raises `PolicyError` naming `source`, the place and the fault."""
        try:
            return cls.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"{source}: not TOML: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise PolicyError(f"{source}: {place + ': ' if place else ''}{first['msg']}") from error
