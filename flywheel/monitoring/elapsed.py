"""The time that a drift check answers for: what its share of the budget of false alarms is counted by."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from flywheel.metadata.database import Database
from flywheel.metadata.schema import DriftCheck

FIRST = timedelta(days=1)


def elapsed_since_check(database: Database, pipeline: str, window: timedelta | None, as_of: datetime) -> timedelta:
    """Return the time since the pipeline's previous check that had enough data to find drift.

    Only checks before ``as_of`` count, so a run at an earlier time answers as it would have then. For the first check
    it is the window's length, or a day where the window is counted in rows.
    """
    previous = (
        select(DriftCheck.as_of)
        .where(DriftCheck.pipeline == pipeline, DriftCheck.as_of < as_of, DriftCheck.outcome != "not_enough_data")
        .order_by(DriftCheck.as_of.desc())
        .limit(1)
    )
    with database.session() as session:
        last = session.scalar(previous)
    return as_of - last if last is not None else window or FIRST
