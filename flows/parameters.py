"""The parameters that flows share, bounded so that the UI draws a good form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field

from flywheel.errors import FlywheelError

PipelineName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", examples=["flight-delays"])]
BatchLimit = Annotated[int, Field(ge=1, le=100_000)]


def logical_time(as_of: datetime | None) -> datetime:
    """Return the time a run pretends to run at: ``as_of``, or now. A time without a zone is taken as UTC."""
    if as_of is None:
        return datetime.now(UTC)
    when = as_of.replace(tzinfo=UTC) if as_of.tzinfo is None else as_of.astimezone(UTC)
    if when.year < 1900:
        raise FlywheelError(f"as_of {when.isoformat()} is before 1900", next_step="give an ISO 8601 time")
    return when
