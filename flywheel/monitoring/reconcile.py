"""Finds the decisions that asked for a retrain which has not been done: their event was lost, or their run died."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from flywheel.context import PipelineContext
from flywheel.metadata.schema import DriftCheck, Retraining


def unanswered_checks(context: PipelineContext, as_of: datetime) -> list[str]:
    """Return the ids of the drift checks made by ``as_of`` whose retrain is not done, oldest first."""
    done = select(Retraining.key).where(Retraining.pipeline == context.name, Retraining.status == "done")
    query = (
        select(DriftCheck.id)
        .where(DriftCheck.pipeline == context.name, DriftCheck.action == "retrain", DriftCheck.as_of <= as_of)
        .where(DriftCheck.id.not_in(done))
        .order_by(DriftCheck.as_of)
    )
    with context.database.session() as session:
        return list(session.scalars(query))
