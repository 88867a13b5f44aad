"""What all wire contracts share: frozen values, unknown fields kept, a version that is checked, and time that is bounded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


class Contract(BaseModel):
    """A frozen wire model, version 1: fields it does not know are kept, versions it does not know are refused."""

    model_config = ConfigDict(frozen=True, extra="allow", coerce_numbers_to_str=True, allow_inf_nan=False)

    version: Literal[1] = 1


class Part(BaseModel):
    """A frozen piece of a contract that never crosses a topic by itself."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


def _plausible(at: datetime) -> datetime:
    moment = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if not EARLIEST <= moment < LATEST:
        raise ValueError("time outside 1970-01-01 to 2100-01-01")
    return moment


def _offset_fits(at: datetime) -> datetime:
    """UTC of `at`; a time next to year 1 or 9999 with an offset would overflow in `astimezone`."""
    try:
        return _plausible(at)
    except OverflowError as error:
        raise ValueError("time outside 1970-01-01 to 2100-01-01") from error


Moment = Annotated[datetime, AfterValidator(_offset_fits)]
"""A time in UTC between 1970 and 2100; one without an offset is taken as UTC."""

Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""An identifier: 1 to 256 characters."""
