"""Removes old drift checks and alerts; what the loop still decides by stays."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from flywheel.context import PipelineContext
from flywheel.lake.span import before
from flywheel.maintenance.retention import newest_batches
from flywheel.metadata.schema import DriftAlert, DriftCheck, Retraining


def expire_checks(context: PipelineContext, as_of: datetime) -> int:
    """Remove the drift checks that are older than the manifest keeps them; return how many that were.

    Whatever it says, these stay: the newest check that could decide, the actions that a cooldown counts from, an open
    alert's checks, and one that asked for a retrain which has not been done.
    """
    kept, newest = context.pipeline.spec.retention.drift_checks, newest_batches(context, as_of)
    if kept is None or newest is None:
        return 0
    cooldown = context.pipeline.drift.cooldown if context.pipeline.drift else timedelta(0)
    done = select(Retraining.key).where(Retraining.pipeline == context.name, Retraining.status == "done")
    with context.database.session() as session:
        first = min([before(newest, max(kept, cooldown)), *_still_needed(session, context.name)])
        is_answered = or_(DriftCheck.action != "retrain", DriftCheck.id.in_(done))
        old = DriftCheck.pipeline == context.name, DriftCheck.as_of < first, is_answered
        removed = session.scalar(select(func.count()).where(*old)) or 0
        session.execute(delete(DriftCheck).where(*old))
        over = DriftAlert.pipeline == context.name, DriftAlert.resolved_at < first
        session.execute(delete(DriftAlert).where(*over))
    return removed


def _still_needed(session: Session, pipeline: str) -> list[datetime]:
    """When the newest check that could decide was, and when the oldest open alert began."""
    could_decide = DriftCheck.pipeline == pipeline, DriftCheck.outcome != "not_enough_data"
    is_open = DriftAlert.pipeline == pipeline, DriftAlert.resolved_at.is_(None)
    found = [
        session.scalar(select(func.max(DriftCheck.as_of)).where(*could_decide)),
        session.scalar(select(func.min(DriftAlert.opened_at)).where(*is_open)),
    ]
    return [each for each in found if each is not None]
