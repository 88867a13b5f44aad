"""What tuning raises.

ModelError
└── TuningError       the verdicts cannot be used; one line says why
    └── NotBetter     what was fitted is worse than what there is, so nothing was written
"""

from __future__ import annotations

from models.errors import ModelError


class TuningError(ModelError):
    """The verdicts cannot be used to tune the model."""


class NotBetter(TuningError):  # noqa: N818 (it is a finding rather than a mistake)
    """Nothing that was fitted is better than the current model."""
