"""Counts of a pipeline: predictions, feedback, training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from flywheel.metadata.database import Database
from flywheel.metadata.queries.fallbacks import waiting_rows
from flywheel.metadata.schema import Batch, Export, ModelVersion, Retraining


@dataclass(frozen=True)
class PredictionStats:
    """Committed batches of records: ``ok`` were scored, ``fallback`` answered by the manifest's fallback.

    ``dead_letters`` are the quarantined records that the model gave no prediction for. Of both, ``rescored`` rows have
    got one since, and ``waiting`` ones can get one.
    """

    pipeline: str
    batches: int
    records: int
    ok: int
    fallback: int
    quarantined: int
    dead_letters: int
    rescored: int
    waiting: int
    first_as_of: datetime | None
    last_as_of: datetime | None
    by_model_version: dict[str, int]


@dataclass(frozen=True)
class FeedbackStats:
    """Committed joins. ``labelled`` and ``recovered`` events gave a label row; ``waiting`` is as of the last join."""

    pipeline: str
    joins: int
    labelled: int
    recovered: int
    duplicates: int
    late: int
    unlabelled: int
    orphans: int
    conflicts: int
    waiting: int
    quarantined: int
    last_as_of: datetime | None


@dataclass(frozen=True)
class TrainingStats:
    """Exports, retrains by outcome, and model versions by status."""

    pipeline: str
    exports: int
    exported_rows: int
    last_export_id: str | None
    last_export_uri: str | None
    last_export_rows: int | None
    last_export_as_of: datetime | None
    retrains: int
    retrain_outcomes: dict[str, int]
    versions: dict[str, int]


def prediction_stats(database: Database, pipeline: str) -> PredictionStats:
    """Count what the pipeline's committed batches of records came to."""
    counted = ("records", "ok", "fallback", "quarantined", "dead_letters", "rescored")
    version = Batch.plan["model_version"].as_integer()
    scored = _total("ok") + _total("fallback")
    by_version = _committed(pipeline, "records", version, scored).group_by(version).order_by(version)
    whole = _committed(
        pipeline,
        "records",
        func.count(),
        *(_total(name) for name in counted),
        func.coalesce(func.sum(waiting_rows()), 0),
        func.min(Batch.as_of),
        func.max(Batch.as_of),
    )
    with database.session() as session:
        batches, *counts, waiting, first, last = session.execute(whole).one()
        versions = {"external" if number is None else str(number): rows for number, rows in session.execute(by_version)}
    return PredictionStats(
        pipeline=pipeline,
        batches=batches,
        **dict(zip(counted, counts, strict=True)),
        waiting=waiting,
        first_as_of=first,
        last_as_of=last,
        by_model_version=versions,
    )


def feedback_stats(database: Database, pipeline: str) -> FeedbackStats:
    """Count what the pipeline's committed joins came to."""
    names = ("labelled", "recovered", "duplicates", "late", "unlabelled", "orphans", "conflicts", "quarantined")
    whole = _committed(pipeline, "feedback", func.count(), func.max(Batch.as_of), *(_total(name) for name in names))
    newest = _committed(pipeline, "feedback", Batch.counts).order_by(Batch.number.desc()).limit(1)
    with database.session() as session:
        joins, last, *totals = session.execute(whole).one()
        counts = session.scalar(newest) or {}
    return FeedbackStats(
        pipeline=pipeline,
        joins=joins,
        last_as_of=last,
        waiting=counts.get("waiting", 0),
        **dict(zip(names, totals, strict=True)),
    )


def training_stats(database: Database, pipeline: str) -> TrainingStats:
    """Count the pipeline's exports, retrains and model versions."""
    newest = select(Export).where(Export.pipeline == pipeline).order_by(Export.as_of.desc(), Export.id.desc()).limit(1)
    # PostgreSQL's sum of bigint is a numeric, which would come as a Decimal.
    total = cast(func.coalesce(func.sum(Export.rows), 0), BigInteger)
    exports = select(func.count(), total).where(Export.pipeline == pipeline)
    outcome = func.coalesce(Retraining.outcome, Retraining.status)
    with database.session() as session:
        count, rows = session.execute(exports).one()
        last = session.scalar(newest)
        outcomes = dict(session.execute(_grouped(outcome, Retraining.pipeline, pipeline)).tuples().all())
        versions = dict(session.execute(_grouped(ModelVersion.status, ModelVersion.pipeline, pipeline)).tuples().all())
    return TrainingStats(
        pipeline=pipeline,
        exports=count,
        exported_rows=rows,
        last_export_id=last.id if last else None,
        last_export_uri=last.uri if last else None,
        last_export_rows=last.rows if last else None,
        last_export_as_of=last.as_of if last else None,
        retrains=sum(outcomes.values()),
        retrain_outcomes=outcomes,
        versions=versions,
    )


def _committed(pipeline: str, feed: str, *columns: Any) -> Select[Any]:
    return select(*columns).where(Batch.pipeline == pipeline, Batch.feed == feed, Batch.status == "committed")


def _total(name: str) -> ColumnElement[int]:
    return func.coalesce(func.sum(Batch.counts[name].as_integer()), 0)


def _grouped(by: ColumnElement[Any] | InstrumentedAttribute[Any], owner: Any, pipeline: str) -> Select[Any]:
    return select(by, func.count()).where(owner == pipeline).group_by(by).order_by(by)
