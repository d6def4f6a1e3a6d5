"""Says which dates of which table are old enough to go.

Retention is counted back from the pipeline's own newest batches, so that a pipeline that stands still, that replays the
past, or whose clock once was a year ahead of the next run's, keeps what it has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, date, datetime

import polars as pl
from sqlalchemy import func, select

from flywheel.context import PipelineContext
from flywheel.lake.span import before
from flywheel.lake.tables import LakeTable, PipelineTables
from flywheel.metadata.schema import Retraining
from flywheel.monitoring.reference import find_baseline
from flywheel.monitoring.window import latest_window

# What a retrain reads, and must find again if it is killed and run again.
_LEARNED_FROM = ("predictions", "labels")


def tables_of(context: PipelineContext) -> dict[str, LakeTable]:
    """Return the pipeline's tables by name."""
    return {field.name: getattr(context.tables, field.name) for field in fields(PipelineTables)}


def first_dates(context: PipelineContext, as_of: datetime) -> dict[str, date]:
    """Return the first date that stays, of each table that some rows may go from.

    Whatever the manifest says, what a drift window in use, or a retrain under way, reads stays.
    """
    retention = context.pipeline.spec.retention
    newest = newest_batches(context, as_of)
    kept = {name: getattr(retention, name) for name in tables_of(context)}
    if newest is None or not any(kept.values()):
        return {}
    if _is_retraining(context):
        kept.update(dict.fromkeys(_LEARNED_FROM))
    first = {name: before(newest, span).date() for name, span in kept.items() if span is not None}
    if "profiles" in first:
        first["profiles"] = min(first["profiles"], _window_start(context, newest))
    return first


def newest_batches(context: PipelineContext, as_of: datetime) -> datetime | None:
    """How far the pipeline has come, in its own time: the slower of its two feeds. None before their first batches."""
    records = context.records.latest()
    if records is None or context.pipeline.feedback is None:
        return min(records.as_of, as_of) if records else None
    feedback = context.feedback.latest()
    return min(records.as_of, feedback.as_of, as_of) if feedback else None


def _is_retraining(context: PipelineContext) -> bool:
    """Whether a retrain is under way; one that has not been taken up again within the grace period is given up."""
    since = before(datetime.now(UTC), context.pipeline.spec.retention.grace)
    running = select(func.count()).where(
        Retraining.pipeline == context.name, Retraining.status == "running", Retraining.started_at > since
    )
    with context.database.session() as session:
        return session.execute(running).scalar_one() > 0


def _window_start(context: PipelineContext, newest: datetime) -> date:
    """The oldest date that a drift check at ``newest`` looks at; without a baseline nobody knows."""
    config = context.pipeline.drift
    if config is None:
        return date.max
    model_id = context.pipeline.inference.model_id
    champion = context.registry.champion(model_id)
    baseline = find_baseline(context, model_id, champion.version if champion else None)
    if baseline is None:
        return date.min
    profiles = context.tables.profiles
    window = latest_window(profiles, baseline.id, config, newest)
    return min(_dates_of_batches(profiles, window.first_batch, window.last_batch), default=date.max)


def _dates_of_batches(profiles: LakeTable, first: int, last: int) -> Iterator[date]:
    rows = profiles.read(profiles.files(batches=range(first, last + 1)), ["batch_id", "date"])
    yield from rows.filter(pl.col("batch_id").is_between(first, last))["date"].unique()
